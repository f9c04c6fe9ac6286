// SPDX-License-Identifier: GPL-2.0
/*
 * A vfio-pci variant driver with live migration, for QEMU's edu device (1234:11e8; docs/specs/edu of QEMU).
 *
 * It is an example, to be read, and something to test against: everything that a variant driver must do is here, and the
 * device is small enough to be seen as a whole. It is built on vfio_pci_core, out of tree, for a 64-bit kernel from 6.12
 * on with IOMMUFD. Bind it by driver_override, as any variant driver.
 *
 *   main.c       the device as VFIO sees it: open, close, reset, and the walk along the FSM
 *   state.c      the arcs of the FSM, and the data transfer sessions
 *   registers.c  the device's registers: the user's accesses, drain, save, load
 *   log.c        DMA logging
 *   fail.c       failures on purpose, for tests
 *
 * What edu makes of it:
 *
 * - A real device that migrates has a way to be stopped and read; edu has none, so the driver stands between it and its
 *   user. BAR0 cannot be mapped, nor written by an ioeventfd: each access comes through edu_bar_access(). That is how the
 *   driver knows of doorbells. Do not do this for a device that is to be fast.
 * - Stop: a transfer takes up to 100 ms and cannot be stopped, so the arc to the P2P state waits for it. Transfers that are
 *   asked for in a P2P state are held back, for the driver cannot tell RAM from another device's BAR, and begin in RUNNING,
 *   on the destination where it comes to that.
 * - State: what can be read and written moves. The result of a factorial cannot be written, so it is computed once more. The
 *   command of the last transfer cannot either: the driver has it. Causes of an interrupt that were not acknowledged are
 *   raised again when the device leaves STOP. The buffer of 4 KiB is beyond the reach of a driver whose device does its DMA
 *   in the user's address space: IT IS LOST. What a transfer put there before a migration is not there after it.
 * - Reset: edu has none (no FLR, and QEMU does nothing at a reset of its bus). VFIO_DEVICE_RESET brings its registers to
 *   what they are after power on, and the FSM to RUNNING; configuration space stays. The same is done at open, so that no
 *   user finds what the one before left; but for the buffer, which has it still. Do not do this for a device that is used.
 *
 * Locks: state_mutex has the FSM and all the driver knows; the core's memory_lock is taken inside it, and a session's mutex
 * too. A reset from the PCI core (a hot reset of the slot, say) comes with memory_lock held, so it cannot take
 * state_mutex: it leaves a note, and who takes state_mutex next does it before all else. The in-tree drivers do it when they
 * leave the mutex, which comes to the same for whoever asks for the state; here it cannot be done in the reset's own thread,
 * since it needs memory_lock itself.
 */
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/version.h>

#include "edu.h"

static struct edu_device *edu_of(struct vfio_device *vdev)
{
	return container_of(vdev, struct edu_device, core.vdev);
}

static void edu_reset(struct edu_device *edu)
{
	edu_end_session(edu);
	edu_reset_registers(edu);
	edu->state = VFIO_DEVICE_STATE_RUNNING;
}

void edu_lock(struct edu_device *edu)
{
	mutex_lock(&edu->state_mutex);
	if (edu->open && test_and_clear_bit(0, &edu->deferred_reset))
		edu_reset(edu);
}

static void edu_reset_done(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);
	struct edu_device *edu = container_of(core, struct edu_device, core);

	set_bit(0, &edu->deferred_reset);
}

/* A device in ERROR leaves it by a reset alone. */
static struct file *edu_set_state(struct vfio_device *vdev, enum vfio_device_mig_state target)
{
	struct edu_device *edu = edu_of(vdev);
	enum vfio_device_mig_state next;
	struct file *file = NULL;
	int ret;

	edu_lock(edu);
	if (edu->state == VFIO_DEVICE_STATE_ERROR)
		file = ERR_PTR(-EIO);
	while (!IS_ERR(file) && edu->state != target) {
		ret = vfio_mig_get_next_state(vdev, edu->state, target, &next);
		file = ret ? ERR_PTR(ret) : edu_step(edu, next);
		if (IS_ERR(file))
			break;
		edu->state = next;
		if (next == VFIO_DEVICE_STATE_RUNNING || next == VFIO_DEVICE_STATE_PRE_COPY)
			edu_begin_held(edu);
		if (WARN_ON(file && next != target)) {
			fput(file);
			file = ERR_PTR(-EINVAL);
		}
	}
	edu_unlock(edu);
	return file;
}

static int edu_get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct edu_device *edu = edu_of(vdev);

	edu_lock(edu);
	*state = edu->state;
	edu_unlock(edu);
	return 0;
}

static int edu_get_data_size(struct vfio_device *vdev, unsigned long *size)
{
	*size = sizeof(struct edu_stream);
	return 0;
}

static const struct vfio_migration_ops edu_migration_ops = {
	.migration_set_state = edu_set_state,
	.migration_get_state = edu_get_state,
	.migration_get_data_size = edu_get_data_size,
};

static ssize_t edu_read(struct vfio_device *vdev, char __user *buffer, size_t count, loff_t *position)
{
	struct edu_device *edu = edu_of(vdev);
	ssize_t ret;

	if (VFIO_PCI_OFFSET_TO_INDEX(*position) != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_read(vdev, buffer, count, position);
	edu_lock(edu);
	ret = edu_bar_access(edu, buffer, count, position, false);
	edu_unlock(edu);
	return ret;
}

static ssize_t edu_write(struct vfio_device *vdev, const char __user *buffer, size_t count, loff_t *position)
{
	struct edu_device *edu = edu_of(vdev);
	ssize_t ret;

	if (VFIO_PCI_OFFSET_TO_INDEX(*position) != VFIO_PCI_BAR0_REGION_INDEX)
		return vfio_pci_core_write(vdev, buffer, count, position);
	edu_lock(edu);
	ret = edu_bar_access(edu, (char __user *)buffer, count, position, true);
	edu_unlock(edu);
	return ret;
}

static long edu_ioctl(struct vfio_device *vdev, unsigned int request, unsigned long argument)
{
	struct edu_device *edu = edu_of(vdev);

	switch (request) {
	case VFIO_DEVICE_RESET:
		edu_lock(edu);
		edu_reset(edu);
		edu_unlock(edu);
		return 0;
	case VFIO_DEVICE_IOEVENTFD:
		/* It writes to BAR0 past edu_write(). */
		return -ENOTTY;
	default:
		return vfio_pci_core_ioctl(vdev, request, argument);
	}
}

static int edu_open_device(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_of(vdev);
	struct vfio_pci_core_device *core = &edu->core;
	int ret;

	ret = vfio_pci_core_enable(core);
	if (ret)
		return ret;
	ret = vfio_pci_core_setup_barmap(core, 0);
	if (ret) {
		vfio_pci_core_disable(core);
		return ret;
	}
	vfio_pci_core_finish_enable(core);
	core->bar_mmap_supported[0] = false;
	core->reset_works = true; /* VFIO_DEVICE_FLAGS_RESET: by edu_ioctl() */
	mutex_lock(&edu->state_mutex);
	clear_bit(0, &edu->deferred_reset);
	edu_reset(edu);
	edu->open = true;
	mutex_unlock(&edu->state_mutex);
	return 0;
}

static void edu_close_device(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_of(vdev);

	edu_lock(edu);
	edu_end_session(edu);
	edu_log_end(edu);
	/* The core takes away the user's DMA mappings next: nothing is to write there then. */
	edu_drain_transfer(edu);
	edu->open = false;
	edu_unlock(edu);
	edu->core.reset_works = false; /* not by the core */
	vfio_pci_core_close_device(vdev);
}

static int edu_init_device(struct vfio_device *vdev)
{
	struct edu_device *edu = edu_of(vdev);

	mutex_init(&edu->state_mutex);
	xa_init(&edu->log);
	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
	vdev->mig_ops = &edu_migration_ops;
	vdev->log_ops = &edu_log_ops;
	return vfio_pci_core_init_dev(vdev);
}

static void edu_release_device(struct vfio_device *vdev)
{
	mutex_destroy(&edu_of(vdev)->state_mutex);
	vfio_pci_core_release_dev(vdev);
}

static const struct vfio_device_ops edu_ops = {
	.name = "edu-migration",
	.init = edu_init_device,
	.release = edu_release_device,
	.open_device = edu_open_device,
	.close_device = edu_close_device,
	.ioctl = edu_ioctl,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
#endif
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = edu_read,
	.write = edu_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#endif
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu_device *edu;
	int ret;

	edu = vfio_alloc_device(edu_device, core.vdev, &pdev->dev, &edu_ops);
	if (IS_ERR(edu))
		return PTR_ERR(edu);
	dev_set_drvdata(&pdev->dev, &edu->core);
	ret = vfio_pci_core_register_device(&edu->core);
	if (ret)
		vfio_put_device(&edu->core.vdev);
	return ret;
}

static void edu_remove(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	vfio_pci_core_unregister_device(core);
	vfio_put_device(&core->vdev);
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static const struct pci_error_handlers edu_error_handlers = {
	.reset_done = edu_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

static struct pci_driver edu_driver = {
	.name = KBUILD_MODNAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
	.err_handler = &edu_error_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("VFIO PCI driver with migration for QEMU's edu device, an example");
MODULE_LICENSE("GPL");
