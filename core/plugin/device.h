/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One device instance: binds a claim's callbacks to a VM, through the service tables.
 */
#ifndef ALCOR_CORE_PLUGIN_DEVICE_H
#define ALCOR_CORE_PLUGIN_DEVICE_H

#include <alcor/plugin.h>

#include "config/params.h"
#include "vm/vm.h"

/* Parameters that the host accepts for every device (id=), and for virtio devices (packed=). */
const struct param_table *device_common_params(const struct alcor_claim *claim);

/*
 * [main] Creates and realizes a device and adds it to @vm, which owns it from then on. Takes
 * @params over, also when it fails. @option goes in front of error texts.
 */
int device_add(struct vm *vm, const struct alcor_claim *claim, const char *option,
	       struct params *params, struct error *err);

#endif
