/* SPDX-License-Identifier: Apache-2.0 */
/* A sink that users attach to and detach from: bytes between the device and a pty or socket. */
#ifndef ALCOR_PLUGINS_COMMON_CHANNEL_H
#define ALCOR_PLUGINS_COMMON_CHANNEL_H

#include "endpoint.h"
#include "sink.h"

struct channel;

/* [main] Takes @end over on success. */
int channel_new(struct alcor_dev *dev, const struct endpoint *end, const struct sink_ops *ops,
		void *opaque, struct channel **ret_channel);
/* [main] Writes what is queued, for about a second. */
void channel_free(struct channel *channel);
uint32_t channel_write(struct channel *channel, const uint8_t *data, uint32_t len);
void channel_input_ready(struct channel *channel);
bool channel_attached(const struct channel *channel);

#endif
