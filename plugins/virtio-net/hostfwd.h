/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the parameters net= and hostfwd=. */
#ifndef ALCOR_PLUGINS_VIRTIO_NET_HOSTFWD_H
#define ALCOR_PLUGINS_VIRTIO_NET_HOSTFWD_H

#include <netinet/in.h>
#include <stdbool.h>

#include <alcor/plugin.h>

struct net_subnet {
	struct in_addr network, mask;
};

struct net_hostfwd {
	bool udp;
	struct in_addr host, guest;
	uint16_t host_port, guest_port;
};

/* Station @number of the network. */
struct in_addr net_station(const struct net_subnet *subnet, uint32_t number);

int net_subnet_parse(struct alcor_dev *dev, const char *text, struct net_subnet *ret_subnet);
/* An address that is left out: any of the host, @guest for the guest. */
int net_hostfwd_parse(struct alcor_dev *dev, const char *text, struct in_addr guest,
		      struct net_hostfwd *ret_fwd);

#endif
