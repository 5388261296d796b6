/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_POWER_H
#define GUEST_LIB_POWER_H

/* Each returns only when it did not work. */
void power_off(void);
void power_reset(void);
void triple_fault(void);

#endif
