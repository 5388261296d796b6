/* SPDX-License-Identifier: Apache-2.0 */
#include "test_fixture.h"

struct alcor_fake *fake;

int open_device(const char *params, uint64_t features)
{
	int ret;

	fake = alcor_fake_new(PLUGIN_PATH, "balloon/virtio");
	ret = alcor_fake_create(fake, params);
	if (!ret)
		ret = alcor_fake_realize(fake);
	return ret ? ret : alcor_fake_activate(fake, features);
}

int teardown(void **state)
{
	alcor_fake_free(fake);
	fake = NULL;
	return 0;
}

uint32_t config(unsigned offset)
{
	uint32_t value;

	memcpy(&value, fake->config + offset, sizeof(value));
	return le32toh(value);
}

/* As the host does it: kept when the plugin agrees. */
static int write_config(uint32_t offset, const void *data, uint32_t len)
{
	int ret = fake->virtio_desc.ops->config_write(fake->priv, offset, data, len);

	if (!ret)
		memcpy(fake->config + offset, data, len);
	return ret;
}

int write_config32(uint32_t offset, uint32_t value)
{
	value = htole32(value);
	return write_config(offset, &value, sizeof(value));
}

struct alcor_fake_request *driver_send(uint16_t queue, const void *data, size_t len)
{
	struct iovec out = { (void *)data, len };
	struct alcor_fake_request *req = alcor_fake_submit(fake, queue, &out, len ? 1 : 0, NULL, 0);

	alcor_fake_notify(fake, queue);
	return req;
}

void driver_send_and_wait(uint16_t queue, const void *data, size_t len)
{
	struct alcor_fake_request *req = driver_send(queue, data, len);

	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, 0);
}

void touch(uint64_t gpa, uint64_t len)
{
	memset(fake->ram + gpa, 0x5a, len);
	assert_int_equal(alcor_fake_resident(fake, gpa, len), len);
}

uint64_t get(const char *name)
{
	struct alcor_ctl_value value;

	assert_int_equal(alcor_fake_get(fake, name, &value), 0);
	return value.number;
}

int set(const char *name, uint64_t number)
{
	struct alcor_ctl_value value = { .number = number };

	return alcor_fake_set(fake, name, &value);
}
