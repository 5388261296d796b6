/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor plugin ABI: what a plugin gives to the host, and the one object the host gives to a plugin.
 *
 * A plugin is an ELF shared object alcor-NAME.so with
 *   - an ELF note (section .note.alcor, see ALCOR_PLUGIN_NOTE) that says what it is without a single
 *     instruction of it being run, and
 *   - one exported function, alcor_plugin_entry_1(), that returns a constant descriptor.
 * Everything the plugin calls is reached through tables that the host hands out by name
 * (alcor_service()); a plugin imports no symbol of the host. Nothing is ever unloaded.
 *
 * Thread tags used in all headers:
 *   [main]  the control thread, before the guest runs or while it is stopped
 *   [dev]   the device's loop thread, one callback at a time
 *   [vcpu]  a vCPU thread; several at once, except as the thread model says
 *   [any]   any thread
 *
 * Errors: functions return 0 (or a count) or a negative errno. Before it returns an error from
 * create() or realize(), a plugin says what failed with alcor_error(); the host prints that text
 * once, with the device's option in front.
 *
 * Strings and descriptors that a plugin hands over have static lifetime. Structures start with
 * their size, arrays carry the size of an element; members are only ever appended.
 */
#ifndef ALCOR_PLUGIN_H
#define ALCOR_PLUGIN_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* While the major version is 0, a plugin runs only in a host of exactly this version. */
#define ALCOR_ABI_MAJOR	 0
#define ALCOR_ABI_MINOR	 1
#define ALCOR_ABI_STRING "0.1"

struct alcor_dev;
struct alcor_state; /* snapshot stream; offered with the service alcor.state */

/* Log levels. */
#define ALCOR_LOG_ERROR 0
#define ALCOR_LOG_WARN	1
#define ALCOR_LOG_INFO	2
#define ALCOR_LOG_DEBUG 3

/* Owned by the host; valid from init() to the end of the process. */
struct alcor_host {
	uint32_t struct_size;
	uint16_t abi_major;
	uint16_t abi_minor;
	const char *version; /* of the program; for messages, never to be compared */

	/* [any] The table named @id ("alcor.mem/1"), or NULL where this host has none. */
	const void *(*service)(const struct alcor_host *host, const char *id);

	/* [any] One line, no line feed. Rate-limited for each device. @dev may be NULL. */
	void (*log)(const struct alcor_host *host, struct alcor_dev *dev, uint32_t level,
		    const char *msg);

	/* [main] Detail for the error that the running create() or realize() is about to return.
	 * Copied; the last call before the return counts. */
	void (*error)(struct alcor_dev *dev, const char *msg);
};

/* One device instance, owned by the host: valid from create() until destroy() has returned. The
 * host's own data follows what is declared here. */
struct alcor_dev {
	const struct alcor_host *host;
	const char *id; /* unique in the VM: the user's id=, else class and number ("blk0") */
};

/* Parameter types. The host parses, checks and keeps the value; see <alcor/cfg.h>. */
#define ALCOR_PARAM_STR	 1
#define ALCOR_PARAM_PATH 2
#define ALCOR_PARAM_BOOL 3 /* on, off, true, false */
#define ALCOR_PARAM_U64	 4 /* min..max; decimal, 0x, 0o, 0b, with k m g t */
#define ALCOR_PARAM_SIZE 5 /* bytes; as U64 */
#define ALCOR_PARAM_ENUM 6 /* one of the words in choices ("a|b|c") */
#define ALCOR_PARAM_MAC	 7
#define ALCOR_PARAM_FD	 8 /* number of an inherited, open descriptor */

/* Parameter flags. */
#define ALCOR_PARAM_REQUIRED   (1u << 0)
#define ALCOR_PARAM_POSITIONAL (1u << 1) /* may be given without "key="; at most one a claim */
#define ALCOR_PARAM_REPEAT     (1u << 2)
#define ALCOR_PARAM_SECRET     (1u << 3) /* never logged or dumped */
#define ALCOR_PARAM_DEPRECATED (1u << 4)

struct alcor_param {
	const char *name;    /* [a-z][a-z0-9_-]* */
	const char *help;    /* one line, lower case, no full stop */
	const char *dflt;    /* in the value grammar; NULL: absent unless given */
	const char *choices; /* ENUM only */
	const char *alias;   /* second accepted name, or NULL */
	uint64_t min, max;   /* U64 and SIZE; max 0 means no bound */
	uint32_t type;
	uint32_t flags;
};

/* Why a device is reset. */
#define ALCOR_RESET_COLD 0 /* as after power-on */
#define ALCOR_RESET_WARM 1 /* the machine was reset */

/* The life of one instance: create, realize, (resume, pause)*, reset at any time between, destroy.
 * A NULL member means "nothing to do", but create and destroy are mandatory. */
struct alcor_dev_ops {
	uint32_t struct_size;
	uint32_t reserved;

	/* [main] Read the parameters, open the back end. Must not touch guest memory. On success
	 * *@ret_priv is passed to all later callbacks; on failure everything is undone here. */
	int (*create)(struct alcor_dev *dev, void **ret_priv);
	/* [main] Register what the guest will see. On failure the host calls destroy(). */
	int (*realize)(void *priv);
	/* [dev] Back to the power-on state. In-flight requests are finished or dropped first. */
	void (*reset)(void *priv, uint32_t kind);
	/* [dev] Start to take work. */
	int (*resume)(void *priv);
	/* [dev] Stop to take work and let everything in flight finish. */
	int (*pause)(void *priv);
	/* [dev], paused. NULL: the device cannot be snapshotted. */
	int (*save)(void *priv, struct alcor_state *state);
	int (*load)(void *priv, struct alcor_state *state, uint32_t version);
	/* [main] Free everything, from any earlier stage. Registrations are revoked by the host
	 * afterwards: requests that are still in flight stay valid until the return. */
	void (*destroy)(void *priv);
};

/* Thread models. */
#define ALCOR_THREAD_SERIAL   0 /* one callback of a device at a time, whatever the thread */
#define ALCOR_THREAD_LOOP     1 /* as SERIAL, and all on the device's loop thread */
#define ALCOR_THREAD_QUEUE    2 /* virtqueue callbacks of different queues may run in parallel */
#define ALCOR_THREAD_PARALLEL 3 /* anything at any time; the plugin locks */

/* Claim capabilities: each may only ever add something. */
#define ALCOR_CAP_VIRTIO (1u << 0) /* accepts the host's options of virtio devices (packed=) */

/* "I serve --CLASS KEYWORD". */
struct alcor_claim {
	const char *dev_class; /* blk, net, fs, ... or a class of the plugin's own */
	const char *keyword;   /* [a-z][a-z0-9-]*, third parties VENDOR.NAME; at most 32 bytes */
	const char *summary;   /* one line for help */
	const struct alcor_param *params;
	uint32_t n_params;
	uint32_t param_size; /* sizeof(struct alcor_param) */
	const struct alcor_dev_ops *ops;
	uint32_t thread_model;
	uint32_t caps;
	uint32_t state_version;
	uint32_t state_version_min;
};

struct alcor_plugin {
	uint32_t struct_size;
	uint16_t abi_major; /* what it was compiled against */
	uint16_t abi_minor;
	const char *name; /* as in the note and in the file name alcor-NAME.so */
	const char *version;
	const char *license; /* SPDX expression */
	const struct alcor_claim *claims;
	uint32_t n_claims;
	uint32_t claim_size; /* sizeof(struct alcor_claim) */
	/* [main] Optional; once, before the first create(). No files, threads or registrations. */
	int (*init)(const struct alcor_host *host);
};

/* The exported symbol. The 1 names the calling convention of this function, not the ABI. */
const struct alcor_plugin *alcor_plugin_entry_1(void);

#define ALCOR_PLUGIN_EXPORT __attribute__((visibility("default")))

/*
 * The ELF note: owner "alcor", type 1, a description of "key=value" strings, each ended by a NUL;
 * more NULs at the end are padding.
 * Keys: name, version, license, abi, claim (CLASS/KEYWORD, once a claim), needs (what it wants from
 * the host's system: fs.read fs.write net.tap net.socket vhost vfio thread exec; once each).
 * Bounded: 4096 bytes, 64 entries. Must agree with the descriptor. Write it once, at file level:
 *
 *	ALCOR_PLUGIN_NOTE("name=hello\0" "version=1.0\0" "license=Apache-2.0\0"
 *			  "abi=" ALCOR_ABI_STRING "\0" "claim=misc/acme.hello\0");
 */
#define ALCOR_NOTE_OWNER "alcor"
#define ALCOR_NOTE_TYPE	 1u
#define ALCOR_NOTE_MAX	 4096u
#define ALCOR_PLUGIN_NOTE(text)                                                                   \
	static const struct {                                                                     \
		uint32_t namesz, descsz, type;                                                    \
		char owner[8];                                                                    \
		char desc[(sizeof(text) + 3) / 4 * 4];                                            \
	} alcor_plugin_note __attribute__((used, retain, aligned(4), section(".note.alcor"))) = { \
		sizeof(ALCOR_NOTE_OWNER), (sizeof(text) + 3) / 4 * 4, ALCOR_NOTE_TYPE,            \
		ALCOR_NOTE_OWNER, text                                                            \
	}

#define ALCOR_PRINTF __attribute__((format(printf, 3, 4)))

/* [any] The service table @id, or NULL. */
static inline const void *alcor_service(struct alcor_dev *dev, const char *id)
{
	return dev->host->service(dev->host, id);
}

ALCOR_PRINTF static inline void alcor_log(struct alcor_dev *dev, uint32_t level, const char *fmt,
					  ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	dev->host->log(dev->host, dev, level, msg);
}

/* [main] Says why, and returns @err_no: `return alcor_error(dev, -EINVAL, "...")`. */
ALCOR_PRINTF static inline int alcor_error(struct alcor_dev *dev, int err_no, const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	dev->host->error(dev, msg);
	return err_no;
}

#ifdef __cplusplus
}
#endif

#endif
