/* SPDX-License-Identifier: Apache-2.0 */
#include "test_fixture.h"

#include <endian.h>
#include <stdlib.h>

#define BUFFERS 4096

struct alcor_fake *fake;
static void *buffers[BUFFERS];
static unsigned n_buffers;
static struct {
	struct alcor_fake_request *req;
	char *buf;
	bool read;
} answers[64];
static unsigned n_answers;

int create_device(const char *claim, const char *params)
{
	int ret;

	fake = alcor_fake_new(PLUGIN_PATH, claim);
	ret = alcor_fake_create(fake, params);
	return ret ? ret : alcor_fake_realize(fake);
}

void open_device(const char *claim, const char *params, uint64_t features)
{
	assert_int_equal(create_device(claim, params), 0);
	assert_int_equal(alcor_fake_activate(fake, features), 0);
}

void close_device(void)
{
	alcor_fake_free(fake);
	while (n_buffers)
		free(buffers[--n_buffers]);
	n_answers = 0;
}

/* Blocks of their own, so that a sanitizer sees a touch too much. */
static char *buffer_new(uint32_t len)
{
	char *buf = malloc(len ? len : 1);

	assert_non_null(buf);
	assert_true(n_buffers < BUFFERS);
	buffers[n_buffers++] = buf;
	return buf;
}

struct alcor_fake_request *give(uint16_t queue, uint32_t len, char **ret_buf)
{
	char *buf = buffer_new(len);
	struct iovec in = { buf, len };
	struct alcor_fake_request *req;

	memset(buf, 0, len);
	req = alcor_fake_submit(fake, queue, NULL, 0, &in, 1);
	alcor_fake_notify(fake, queue);
	if (ret_buf)
		*ret_buf = buf;
	return req;
}

/* In two parts, as a driver may. */
struct alcor_fake_request *submit(uint16_t queue, const void *data, uint32_t len)
{
	char *buf = buffer_new(len);
	struct iovec out[] = { { buf, len / 2 }, { buf + len / 2, len - len / 2 } };
	struct alcor_fake_request *req;

	memcpy(buf, data, len);
	req = alcor_fake_submit(fake, queue, out, 2, NULL, 0);
	alcor_fake_notify(fake, queue);
	return req;
}

struct alcor_fake_request *print(uint16_t queue, const char *text)
{
	return submit(queue, text, (uint32_t)strlen(text));
}

void settle(void)
{
	for (int i = 0; i < 50; i++)
		alcor_fake_turn(fake, 0);
}

void control(uint32_t id, uint16_t event, uint16_t value)
{
	struct {
		uint32_t id;
		uint16_t event, value;
	} msg = { htole32(id), htole16(event), htole16(value) };

	submit(CONTROL_TX, &msg, sizeof(msg));
}

void control_give(unsigned n, uint32_t len)
{
	while (n--) {
		assert_true(n_answers < sizeof(answers) / sizeof(*answers));
		answers[n_answers].req = give(CONTROL_RX, len, &answers[n_answers].buf);
		answers[n_answers++].read = false;
	}
}

static void text_of(const char *buf, uint32_t written, char *ret_text, size_t size)
{
	static const char *const names[] = { "ready",	"add",	  "remove", "port-ready",
					     "console", "resize", "open",   "name" };
	uint32_t id;
	uint16_t event, value;

	if (written < 8) {
		snprintf(ret_text, size, "%u bytes ", written);
		return;
	}
	memcpy(&id, buf, 4);
	memcpy(&event, buf + 4, 2);
	memcpy(&value, buf + 6, 2);
	assert_true(le16toh(event) < 8);
	if (written > 8)
		snprintf(ret_text, size, "%u:%s=%.*s ", le32toh(id), names[le16toh(event)],
			 (int)written - 8, buf + 8);
	else
		snprintf(ret_text, size, "%u:%s%s ", le32toh(id), names[le16toh(event)],
			 le16toh(value) == 1 ? "" : "-no");
}

const char *control_text(void)
{
	static char text[2048];
	size_t len = 0;

	settle();
	*text = '\0';
	for (unsigned i = 0; i < n_answers; i++) {
		if (!answers[i].req->done || answers[i].read)
			continue;
		answers[i].read = true;
		text_of(answers[i].buf, answers[i].req->written, text + len, sizeof(text) - len);
		len = strlen(text);
	}
	if (len)
		text[len - 1] = '\0';
	return text;
}
