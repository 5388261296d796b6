/* SPDX-License-Identifier: Apache-2.0 */
/* Run-time properties of devices, named ID.NAME; devices register them through <alcor/ctl.h>. */
#ifndef ALCOR_CORE_PLUGIN_CTL_H
#define ALCOR_CORE_PLUGIN_CTL_H

#include "util/error.h"
#include "vm/vm.h"

#define CTL_NAME_MAX 32

/* [main] For vm_set_ctl(). Callbacks of the devices run on their loops, the caller waits. */
extern const struct vm_ctl_ops ctl_ops;

#endif
