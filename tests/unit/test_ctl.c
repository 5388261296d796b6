/* SPDX-License-Identifier: Apache-2.0 */
/* Run-time properties: what a plugin may register, and what the user reads and sets. */
#include "plugin/ctl.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <alcor/ctl.h>
#include <alcor/loop.h>

#include "test_device_vm.h"
#include "util/overflow.h"

enum { COUNT, LIMIT, FLAG, WORD, NOTHING, BROKEN, N_PROPERTIES };

/* What the plugin's callbacks have seen. */
static struct plugin {
	struct alcor_dev *dev;
	struct alcor_ctl_value values[N_PROPERTIES];
	unsigned n_sets;
	int add_result;
	pthread_t thread;
} plugin;

static int property_get(void *opaque, uint64_t index, struct alcor_ctl_value *ret_value)
{
	struct plugin *p = opaque;

	p->thread = pthread_self();
	if (ret_value->number || ret_value->text[0])
		return -EBADMSG;
	*ret_value = p->values[index];
	return index == NOTHING ? -ENODATA : index == BROKEN ? -EIO : 0;
}

static int property_set(void *opaque, uint64_t index, const struct alcor_ctl_value *value)
{
	struct plugin *p = opaque;

	p->thread = pthread_self();
	p->n_sets++;
	if (index == BROKEN)
		return -ENXIO;
	p->values[index] = *value;
	return 0;
}

#define PROPERTY(NAME, TYPE, INDEX)                                                               \
	{                                                                                         \
		.struct_size = sizeof(struct alcor_ctl_property), .type = TYPE, .name = NAME,     \
		.help = "help of " NAME, .index = INDEX, .get = property_get, .set = property_set \
	}

static int add(const struct alcor_ctl_property *property)
{
	const struct alcor_ctl *ctl = alcor_service(plugin.dev, ALCOR_CTL_ID);

	return ctl->add(plugin.dev, property, &plugin);
}

static int create(struct alcor_dev *dev, void **ret_priv)
{
	struct alcor_ctl_property early = PROPERTY("early", ALCOR_PARAM_U64, COUNT);

	memset(&plugin, 0, sizeof(plugin));
	plugin.dev = dev;
	assert_int_equal(add(&early), -EBUSY);
	*ret_priv = &plugin;
	return 0;
}

static int realize(void *priv)
{
	struct alcor_ctl_property rows[] = {
		PROPERTY("count", ALCOR_PARAM_U64, COUNT),
		PROPERTY("limit", ALCOR_PARAM_SIZE, LIMIT),
		PROPERTY("flag", ALCOR_PARAM_BOOL, FLAG),
		PROPERTY("word", ALCOR_PARAM_STR, WORD),
		PROPERTY("nothing", ALCOR_PARAM_U64, NOTHING),
		PROPERTY("broken-one", ALCOR_PARAM_U64, BROKEN),
	};
	const struct alcor_loop *loop = alcor_service(plugin.dev, ALCOR_LOOP_ID);
	struct alcor_timer *timer;

	rows[LIMIT].min = 4096;
	rows[LIMIT].max = 1 << 20;
	rows[NOTHING].set = NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(add(&rows[i]), 0);
	memset(rows, 0xff, sizeof(rows)); /* it was copied */
	return loop->timer(plugin.dev, NULL, NULL, &timer);
}

static void destroy(void *priv)
{
}

static const struct alcor_dev_ops ops = {
	.struct_size = sizeof(ops),
	.create = create,
	.realize = realize,
	.destroy = destroy,
};

static const struct alcor_claim claim = {
	.dev_class = "test",
	.keyword = "thing",
	.ops = &ops,
	.thread_model = ALCOR_THREAD_LOOP,
};

struct fixture {
	struct vm vm;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	*state = f;
	test_vm_open(&f->vm);
	assert_int_equal(test_vm_add(&f->vm, &claim, "", &f->err), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_vm_close(&f->vm);
	test_free(f);
	return 0;
}

static void assert_get(struct fixture *f, const char *name, const char *text)
{
	char got[256];

	assert_int_equal(ctl_ops.get(&f->vm, name, got, sizeof(got), &f->err), 0);
	assert_string_equal(got, text);
}

static void test_values_as_text(void **state)
{
	struct fixture *f = *state;
	char all[256], cut[3];

	plugin.values[COUNT].number = 1ull << 63;
	plugin.values[LIMIT].number = 192 << 20;
	strcpy(plugin.values[WORD].text, "two words");
	assert_get(f, "test0.count", "9223372036854775808");
	assert_get(f, "test0.limit", "192M");
	assert_get(f, "test0.flag", "off");
	assert_get(f, "test0.word", "two words");
	plugin.values[FLAG].number = 1;
	assert_get(f, "test0.flag", "on");
	/* It goes to a terminal, and a plugin may forget the end. */
	memset(plugin.values[WORD].text, '\033', sizeof(plugin.values[WORD].text));
	assert_int_equal(ctl_ops.get(&f->vm, "test0.word", all, sizeof(all), &f->err), 0);
	assert_int_equal(strlen(all), ALCOR_CTL_TEXT_MAX - 1);
	assert_int_equal(strspn(all, "?"), ALCOR_CTL_TEXT_MAX - 1);
	assert_int_equal(ctl_ops.get(&f->vm, "test0.word", cut, sizeof(cut), &f->err), 0);
	assert_string_equal(cut, "??");
}

static void test_setting(void **state)
{
	static const struct {
		const char *name, *text;
		int ret;
		const char *shows; /* then, or the error */
	} cases[] = {
		{ "test0.count", "0x10", 0, "16" },
		{ "test0.count", "3k", 0, "3072" },
		{ "test0.limit", "4k", 0, "4k" },
		{ "test0.limit", "1M", 0, "1M" },
		{ "test0.limit", "4095", -ERANGE, "test0.limit: 4095 is below the minimum, 4k" },
		{ "test0.limit", "2M", -ERANGE, "test0.limit: 2M is above the maximum, 1M" },
		{ "test0.flag", "on", 0, "on" },
		{ "test0.flag", "off", 0, "off" },
		{ "test0.word", "some words", 0, "some words" },
		{ "test0.nothing", "1", -EPERM, "test0.nothing can only be read" },
		{ "test0.broken-one", "1", -ENXIO, "test0.broken-one: No such device" },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ctl_ops.set(&f->vm, cases[i].name, cases[i].text, &f->err),
				 cases[i].ret);
		if (!cases[i].ret)
			assert_get(f, cases[i].name, cases[i].shows);
		else if (!strstr(f->err.text, cases[i].shows))
			fail_msg("'%s' does not say '%s'", f->err.text, cases[i].shows);
	}
	/* Only what is right reaches the plugin. */
	assert_int_equal(plugin.n_sets, 8);
}

static void test_wrong_values(void **state)
{
	static const char *const cases[][2] = {
		{ "test0.count", "" },	   { "test0.count", "x" },
		{ "test0.count", "1 2" },  { "test0.count", "-1" },
		{ "test0.flag", "maybe" }, { "test0.limit", "99999999999t" },
	};
	struct fixture *f = *state;
	char text[ALCOR_CTL_TEXT_MAX + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(ctl_ops.set(&f->vm, cases[i][0], cases[i][1], &f->err) < 0);
		assert_memory_equal(f->err.text, cases[i][0], strlen(cases[i][0]));
	}
	memset(text, 'x', sizeof(text));
	text[ALCOR_CTL_TEXT_MAX] = '\0';
	assert_true(ctl_ops.set(&f->vm, "test0.word", text, &f->err) < 0);
	assert_int_equal(plugin.n_sets, 0);
	text[ALCOR_CTL_TEXT_MAX - 1] = '\0';
	assert_int_equal(ctl_ops.set(&f->vm, "test0.word", text, &f->err), 0);
	assert_get(f, "test0.word", text);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int ret;
		const char *why;
	} cases[] = {
		{ "", -EINVAL, "'' is not of the form ID.NAME" },
		{ "test0", -EINVAL, "of the form" },
		{ ".count", -EINVAL, "of the form" },
		{ "test0.", -EINVAL, "of the form" },
		{ "test.count", -ENODEV, "there is no device 'test'" },
		{ "test00.count", -ENODEV, "there is no device 'test00'" },
		{ "test0.coun", -ENOENT, "device 'test0' has no property 'coun'" },
		{ "test0.nothing", -ENODATA, "test0.nothing: no value yet" },
		{ "test0.broken-one", -EIO, "test0.broken-one: Input/output error" },
	};
	struct fixture *f = *state;
	char text[64];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ctl_ops.get(&f->vm, cases[i].name, text, sizeof(text), &f->err),
				 cases[i].ret);
		if (!strstr(f->err.text, cases[i].why))
			fail_msg("'%s' does not say '%s'", f->err.text, cases[i].why);
	}
	/* An id may have dots of its own. */
	assert_int_equal(test_vm_add(&f->vm, &claim, "id=a.b", &f->err), 0);
	assert_get(f, "a.b.count", "0");
}

static void collect(void *opaque, const char *text)
{
	strncat(opaque, text, 4095 - strlen(opaque));
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	char text[4096] = "";

	assert_int_equal(test_vm_add(&f->vm, &claim, "", &f->err), 0);
	plugin.values[LIMIT].number = 8192;
	ctl_ops.list(&f->vm, collect, text);
	assert_non_null(strstr(text, "test0.limit                  8k           help of limit\n"));
	assert_non_null(strstr(text, "test0.nothing                -            help of nothing "
				     "(read-only)\n"));
	assert_true(strstr(text, "test0.count") == text);
	assert_true(strstr(text, "test0.broken-one") < strstr(text, "test1.count"));
}

/* On the device's thread, once it has one; and the caller sees the result. */
static void test_callbacks_run_on_the_loop(void **state)
{
	struct fixture *f = *state;
	struct vm_device *dev = f->vm.devices;

	assert_get(f, "test0.count", "0");
	assert_true(pthread_equal(plugin.thread, pthread_self()));
	assert_int_equal(dev->resume(dev), 0);
	for (unsigned i = 0; i < 100; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		assert_int_equal(ctl_ops.set(&f->vm, "test0.count", text, &f->err), 0);
		assert_false(pthread_equal(plugin.thread, pthread_self()));
		assert_get(f, "test0.count", text);
	}
	dev->pause(dev);
	assert_get(f, "test0.count", "99");
}

static int realize_flawed(void *priv)
{
	struct alcor_ctl_property good = PROPERTY("good", ALCOR_PARAM_U64, COUNT), bad;

	assert_int_equal(add(&good), 0);
	assert_int_equal(add(&good), -EEXIST);
	bad = good;
	bad.name = "a.b";
	assert_int_equal(add(&bad), -EINVAL);
	bad.name = "Upper";
	assert_int_equal(add(&bad), -EINVAL);
	bad.name = "-x";
	assert_int_equal(add(&bad), -EINVAL);
	bad.name = "";
	assert_int_equal(add(&bad), -EINVAL);
	bad.name = "abcdefghijklmnopqrstuvwxyzabcdefg"; /* 33 */
	assert_int_equal(add(&bad), -EINVAL);
	bad.name = NULL;
	assert_int_equal(add(&bad), -EINVAL);
	bad = good;
	bad.name = "other";
	bad.help = NULL;
	assert_int_equal(add(&bad), -EINVAL);
	bad.help = "h";
	bad.get = NULL;
	assert_int_equal(add(&bad), -EINVAL);
	bad.get = property_get;
	bad.type = ALCOR_PARAM_MAC;
	assert_int_equal(add(&bad), -EINVAL);
	/* What a plugin's structure is too short for is not read. */
	bad.type = ALCOR_PARAM_U64;
	bad.struct_size = offsetof(struct alcor_ctl_property, get);
	return add(&bad);
}

static void test_flawed_properties(void **state)
{
	struct alcor_dev_ops flawed_ops = ops;
	struct alcor_claim flawed = claim;
	struct fixture *f = *state;
	char text[64];

	flawed_ops.realize = realize_flawed;
	flawed.ops = &flawed_ops;
	assert_int_equal(test_vm_add(&f->vm, &flawed, "", &f->err), -EINVAL);
	assert_string_equal(f->err.text, TEST_OPTION ": a property without a callback or help");
	assert_int_equal(ctl_ops.get(&f->vm, "test1.good", text, sizeof(text), &f->err), -ENODEV);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_values_as_text),
		TEST(test_setting),
		TEST(test_wrong_values),
		TEST(test_names),
		TEST(test_list),
		TEST(test_callbacks_run_on_the_loop),
		TEST(test_flawed_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
