// SPDX-License-Identifier: GPL-2.0
/*
 * DMA logging: the pages that edu writes, known from its doorbells.
 *
 * A transfer writes up to 100 ms after its doorbell. So a page whose transfer runs still is reported, and stays in the log:
 * else the user would clear it before it is written. A transfer that ran when the log was started is in it too.
 *
 * The log has every page that is written while it is on, of whatever range: the ranges of VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * are those that the user will ask for.
 */
#include <linux/iova_bitmap.h>
#include <linux/module.h>
#include <linux/version.h>

#include "edu.h"

static void edu_log_pages(struct edu_device *edu, u64 iova, u64 length)
{
	u64 last = (iova + length - 1) >> PAGE_SHIFT;

	for (u64 page = iova >> PAGE_SHIFT; page <= last; page++) {
		if (xa_is_err(xa_store(&edu->log, page, xa_mk_value(1), GFP_KERNEL)))
			edu->log_overflow = true;
	}
}

/* The device clears the bits of an address that it has not; how many it has, its driver is not told. */
void edu_log_write(struct edu_device *edu, u64 iova, u64 length)
{
	lockdep_assert_held(&edu->state_mutex);
	if (!edu->logging || !length || length > EDU_BUFFER_SIZE)
		return;
	edu_log_pages(edu, iova & EDU_DMA_MASK, length);
	if (iova + length - 1 > EDU_DMA_MASK && iova + length > iova)
		edu_log_pages(edu, iova, length);
}

void edu_log_end(struct edu_device *edu)
{
	edu->logging = false;
	edu->log_overflow = false;
	xa_destroy(&edu->log);
}

static void edu_log_running(struct edu_device *edu)
{
	u64 iova, length;

	if (edu_transfer_to_ram(edu, &iova, &length))
		edu_log_write(edu, iova, length);
}

static int edu_log_start(struct vfio_device *vdev, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size)
{
	struct edu_device *edu = container_of(vdev, struct edu_device, core.vdev);
	int ret = 0;

	edu_lock(edu);
	if (edu->logging) {
		ret = -EINVAL;
	} else {
		edu->logging = true;
		*page_size = PAGE_SIZE;
		edu_log_running(edu);
	}
	edu_unlock(edu);
	return ret;
}

static int edu_log_stop(struct vfio_device *vdev)
{
	struct edu_device *edu = container_of(vdev, struct edu_device, core.vdev);

	edu_lock(edu);
	edu_log_end(edu);
	edu_unlock(edu);
	return 0;
}

/* The order matters: whether a transfer runs is looked at before its page is taken out of the log. */
static void edu_log_take(struct edu_device *edu, unsigned long iova, unsigned long length, struct iova_bitmap *dirty)
{
	unsigned long page, last = (iova + length - 1) >> PAGE_SHIFT;
	u64 running_iova, running_length;
	bool running = edu_transfer_to_ram(edu, &running_iova, &running_length);
	void *entry;

	if (edu->log_overflow)
		iova_bitmap_set(dirty, iova, length);
	xa_for_each_range(&edu->log, page, entry, iova >> PAGE_SHIFT, last) {
		iova_bitmap_set(dirty, page << PAGE_SHIFT, PAGE_SIZE);
		xa_erase(&edu->log, page);
	}
	if (running)
		edu_log_write(edu, running_iova, running_length);
}

static int edu_log_read_and_clear(struct vfio_device *vdev, unsigned long iova, unsigned long length,
				  struct iova_bitmap *dirty)
{
	struct edu_device *edu = container_of(vdev, struct edu_device, core.vdev);
	int ret = 0;

	edu_lock(edu);
	if (!edu->logging || !length)
		ret = -EINVAL;
	else
		edu_log_take(edu, iova, length, dirty);
	edu_unlock(edu);
	return ret;
}

const struct vfio_log_ops edu_log_ops = {
	.log_start = edu_log_start,
	.log_stop = edu_log_stop,
	.log_read_and_clear = edu_log_read_and_clear,
};

/* The namespace of iova_bitmap_set(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("IOMMUFD");
#else
MODULE_IMPORT_NS(IOMMUFD);
#endif
