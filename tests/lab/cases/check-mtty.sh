#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The rules of the uAPI on the kernel's mtty: it breaks those of its file of known deviations, and no other.
# LAB_MACHINE: plain
. /lab/lib.sh
[ -d "$mtty" ] || skip_all "this kernel has no mtty"
a=11111111-1111-4111-8111-111111111111
mtty_create $a
checked mtty vfio:$a
mtty_remove $a
finish
