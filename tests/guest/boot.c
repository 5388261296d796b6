/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cpu.h"
#include "lib/pci.h"
#include "lib/pvh.h"
#include "lib/test.h"
void user_main(void){ test_init(); print("rsdp %lx v%u\n", pvh_info()->rsdp, pvh_info()->version); const uint8_t*p=acpi_find("MCFG"); print("mcfg %lx\n",(uint64_t)p);
 if(p) {print("ecam %lx\n", ecam_base()); for(int i=0;i<8;i++){struct pci_dev d={.slot=i}; print("%x\n", pci_read(&d,0,4));}} test_done(); }
