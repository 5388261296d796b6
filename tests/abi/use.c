/* SPDX-License-Identifier: Apache-2.0 */
/* What any plugin does with <alcor/plugin.h>, in each language that it promises to serve. Notes of
 * each length modulo four, for the padding. */
#include <alcor/plugin.h>

#define HEAD "name=use\0version=1\0license=MIT\0abi=" ALCOR_ABI_STRING "\0claim=misc/"

#if NOTE_PAD == 0
ALCOR_PLUGIN_NOTE(HEAD "a\0");
#elif NOTE_PAD == 1
ALCOR_PLUGIN_NOTE(HEAD "ab\0");
#elif NOTE_PAD == 2
ALCOR_PLUGIN_NOTE(HEAD "abc\0");
#else
ALCOR_PLUGIN_NOTE(HEAD "abcd\0");
#endif

int use_helpers(struct alcor_dev *dev);

int use_helpers(struct alcor_dev *dev)
{
	alcor_log(dev, ALCOR_LOG_INFO, "%s", dev->id);
	if (!alcor_service(dev, "alcor.mem/1"))
		return alcor_error(dev, -1, "%s: no memory", dev->id);
	return 0;
}
