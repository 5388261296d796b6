/* SPDX-License-Identifier: Apache-2.0 */
/* The service tables; see <alcor/...> for what they do. */
#ifndef ALCOR_CORE_PLUGIN_SVC_H
#define ALCOR_CORE_PLUGIN_SVC_H

#include <alcor/acpi.h>
#include <alcor/cfg.h>
#include <alcor/console.h>
#include <alcor/ctl.h>
#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/mem.h>
#include <alcor/pci.h>
#include <alcor/virtio.h>
#include <alcor/vm.h>

extern const struct alcor_acpi svc_acpi;
extern const struct alcor_cfg svc_cfg;
extern const struct alcor_console svc_console;
extern const struct alcor_ctl svc_ctl;
extern const struct alcor_io svc_io;
extern const struct alcor_loop svc_loop;
extern const struct alcor_mem svc_mem;
extern const struct alcor_pci svc_pci;
extern const struct alcor_virtio svc_virtio;
extern const struct alcor_vm svc_vm;

#endif
