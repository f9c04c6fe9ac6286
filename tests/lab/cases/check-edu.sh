#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The rules of the uAPI on the variant driver for edu.
# LAB_TIMEOUT: 200
. /lab/lib.sh
module edu_migration || skip_all "there is no edu_migration.ko"
edu=$(edu_devices | head -n 1)
bind edu_migration "$edu"
checked edu_migration "vfio:$edu" 7
unbind "$edu"
finish
