/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin offers: one device, two back ends. */
#include <errno.h>

#include <alcor/cfg.h>
#include <alcor/plugin.h>

#include "net.h"

static int create(struct alcor_dev *dev, void **ret_priv,
		  int (*open_backend)(struct alcor_dev *dev, struct net_backend **ret_backend))
{
	static const uint8_t zero[6];
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	struct net_backend *backend;
	struct net *net;
	uint8_t mac[6];
	bool has_mac = cfg->mac(dev, "mac", mac) == 0;
	int ret;

	if (has_mac && ((mac[0] & 1) || memcmp(mac, zero, sizeof(mac)) == 0))
		return alcor_error(dev, -EINVAL, "mac: a %s address cannot be that of an interface",
				   mac[0] & 1 ? "multicast" : "zero");
	ret = open_backend(dev, &backend);
	if (!ret)
		ret = net_new(dev, backend, has_mac ? mac : NULL, (uint16_t)cfg->u64(dev, "mtu"),
			      &net);
	if (ret)
		return ret;
	*ret_priv = net;
	return 0;
}

static int tap_create(struct alcor_dev *dev, void **ret_priv)
{
	return create(dev, ret_priv, net_tap_open);
}

static int user_create(struct alcor_dev *dev, void **ret_priv)
{
	return create(dev, ret_priv, net_user_open);
}

static int realize(void *priv)
{
	return net_realize(priv);
}

static int resume(void *priv)
{
	return net_resume(priv);
}

static int pause_device(void *priv)
{
	return net_pause(priv);
}

static void destroy(void *priv)
{
	net_free(priv);
}

static const struct alcor_dev_ops tap_ops = {
	.struct_size = sizeof(tap_ops),
	.create = tap_create,
	.realize = realize,
	.resume = resume,
	.pause = pause_device,
	.destroy = destroy,
};

static const struct alcor_dev_ops user_ops = {
	.struct_size = sizeof(user_ops),
	.create = user_create,
	.realize = realize,
	.resume = resume,
	.pause = pause_device,
	.destroy = destroy,
};

#define PARAM_MAC                                                                               \
	{                                                                                       \
		.name = "mac", .help = "address of the guest's interface, default from the id", \
		.type = ALCOR_PARAM_MAC                                                         \
	}
#define PARAM_MTU(largest)                                                                    \
	{                                                                                     \
		.name = "mtu", .help = "largest packet, told to the guest",                   \
		.type = ALCOR_PARAM_U64, .dflt = "1500", .min = NET_MTU_MIN, .max = (largest) \
	}

static const struct alcor_param tap_params[] = {
	PARAM_MAC,
	PARAM_MTU(65535),
	{ .name = "if_name",
	  .alias = "if",
	  .help = "interface of the host, default is a new one",
	  .type = ALCOR_PARAM_STR },
	{ .name = "tap",
	  .help = "device node, of tun or of a macvtap interface",
	  .type = ALCOR_PARAM_PATH,
	  .dflt = "/dev/net/tun" },
	{ .name = "queue_pairs",
	  .alias = "qp",
	  .help = "pairs of a receive and a transmit queue",
	  .type = ALCOR_PARAM_U64,
	  .dflt = "1",
	  .min = 1,
	  .max = NET_PAIRS_MAX },
	{ .name = "api",
	  .help = "accepted for compatibility, without effect",
	  .type = ALCOR_PARAM_ENUM,
	  .dflt = "auto",
	  .choices = "auto|mio|io_uring|iouring" },
	{ .name = "fd",
	  .help = "descriptor of a tap that is open already",
	  .type = ALCOR_PARAM_FD },
};

static const struct alcor_param user_params[] = {
	PARAM_MAC,
	PARAM_MTU(65521),
	{ .name = "net",
	  .help = "network of the guest, ADDRESS/BITS",
	  .type = ALCOR_PARAM_STR,
	  .dflt = "10.0.2.0/24" },
	{ .name = "restrict",
	  .help = "the guest reaches nothing outside, but what is forwarded to it",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "hostfwd",
	  .help = "(tcp|udp):[ADDRESS]:PORT-[ADDRESS]:PORT, of the host and of the guest",
	  .type = ALCOR_PARAM_STR,
	  .flags = ALCOR_PARAM_REPEAT },
	{ .name = "hostname",
	  .help = "name that the guest is told by DHCP",
	  .type = ALCOR_PARAM_STR },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "net",
	  .keyword = "tap",
	  .ops = &tap_ops,
	  .summary = "network card on a tap or macvtap interface of the host",
	  .params = tap_params,
	  .n_params = sizeof(tap_params) / sizeof(tap_params[0]),
	  .param_size = sizeof(struct alcor_param),
	  .thread_model = ALCOR_THREAD_LOOP,
	  .caps = ALCOR_CAP_VIRTIO },
	{ .dev_class = "net",
	  .keyword = "user",
	  .ops = &user_ops,
	  .summary = "network card behind address translation, without privileges",
	  .params = user_params,
	  .n_params = sizeof(user_params) / sizeof(user_params[0]),
	  .param_size = sizeof(struct alcor_param),
	  .thread_model = ALCOR_THREAD_LOOP,
	  .caps = ALCOR_CAP_VIRTIO },
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "virtio-net",
	.version = "0.1",
	.license = "Apache-2.0",
	.claims = claims,
	.n_claims = sizeof(claims) / sizeof(claims[0]),
	.claim_size = sizeof(struct alcor_claim),
};

ALCOR_PLUGIN_EXPORT const struct alcor_plugin *alcor_plugin_entry_1(void)
{
	return &plugin;
}

ALCOR_PLUGIN_NOTE("name=virtio-net\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=net/tap\0"
		  "claim=net/user\0"
		  "needs=net.tap\0"
		  "needs=net.socket\0");
