// SPDX-License-Identifier: GPL-2.0-or-later
/* Complains when it is loaded: a kernel's warning to be found by those who watch for it. */
#include <linux/module.h>

static int __init lab_warn_init(void)
{
	WARN(1, "lab_warn: a warning made on purpose\n");
	return 0;
}
module_init(lab_warn_init);

static void __exit lab_warn_exit(void)
{
}
module_exit(lab_warn_exit);

MODULE_DESCRIPTION("A warning made on purpose");
MODULE_LICENSE("GPL");
