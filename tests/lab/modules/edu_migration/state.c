// SPDX-License-Identifier: GPL-2.0
/* The arcs of the migration FSM, and the data transfer sessions that go with them. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "edu.h"

static int edu_session_release(struct inode *inode, struct file *file)
{
	struct edu_session *session = file->private_data;

	mutex_destroy(&session->mutex);
	kfree(session);
	return 0;
}

static ssize_t edu_session_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	struct edu_session *session = file->private_data;
	ssize_t ret;

	if (position)
		return -ESPIPE;
	mutex_lock(&session->mutex);
	if (!session->edu) {
		ret = -ENODEV;
	} else if (file->f_pos == session->filled && session->filled < sizeof(session->stream)) {
		ret = count ? -ENOMSG : 0; /* the end for now: more comes in STOP_COPY */
	} else {
		ret = min(count, session->filled - (size_t)file->f_pos);
		if (copy_to_user(buffer, (char *)&session->stream + file->f_pos, ret))
			ret = -EFAULT;
		else
			file->f_pos += ret;
	}
	mutex_unlock(&session->mutex);
	return ret;
}

static int edu_precopy_request(struct edu_device *edu, unsigned int request, unsigned long argument,
			       struct vfio_precopy_info *info)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
	return vfio_check_precopy_ioctl(&edu->core.vdev, request, argument, info);
#else
	if (request != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(info, (void __user *)argument, offsetofend(struct vfio_precopy_info, dirty_bytes)))
		return -EFAULT;
	return info->argsz < offsetofend(struct vfio_precopy_info, dirty_bytes) ? -EINVAL : 0;
#endif
}

/*
 * VFIO_MIG_GET_PRECOPY_INFO: the header is the initial bytes, and there are no dirty ones. state_mutex comes before the
 * session's, so the device is looked for first; a file that is open keeps this module, and the user who opened the device
 * has it open here: close_device() ends the session before the device goes away, under both.
 */
static long edu_session_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
	struct edu_session *session = file->private_data;
	struct vfio_precopy_info info = {};
	struct edu_device *edu;
	int ret;

	mutex_lock(&session->mutex);
	edu = session->edu;
	if (edu)
		get_device(&edu->core.vdev.device);
	mutex_unlock(&session->mutex);
	if (!edu)
		return -ENODEV;
	ret = edu_precopy_request(edu, request, argument, &info);
	if (ret)
		goto out;
	edu_lock(edu);
	if (edu->session != session) {
		ret = -ENODEV;
	} else if (edu->state != VFIO_DEVICE_STATE_PRE_COPY && edu->state != VFIO_DEVICE_STATE_PRE_COPY_P2P) {
		ret = -EINVAL;
	} else {
		mutex_lock(&session->mutex);
		info.initial_bytes = session->filled - file->f_pos;
		info.dirty_bytes = 0;
		mutex_unlock(&session->mutex);
	}
	edu_unlock(edu);
	if (!ret && copy_to_user((void __user *)argument, &info, offsetofend(struct vfio_precopy_info, dirty_bytes)))
		ret = -EFAULT;
out:
	put_device(&edu->core.vdev.device);
	return ret;
}

static const struct file_operations edu_saving_fops = {
	.owner = THIS_MODULE,
	.read = edu_session_read,
	.unlocked_ioctl = edu_session_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = edu_session_release,
};

static ssize_t edu_session_write(struct file *file, const char __user *buffer, size_t count, loff_t *position)
{
	struct edu_session *session = file->private_data;
	ssize_t ret = count;

	if (position)
		return -ESPIPE;
	mutex_lock(&session->mutex);
	if (!session->edu) {
		ret = -ENODEV;
	} else if (count > sizeof(session->stream) - session->filled) {
		ret = -ENOSPC;
	} else if (copy_from_user((char *)&session->stream + session->filled, buffer, count)) {
		ret = -EFAULT;
	} else {
		session->filled += count;
	}
	mutex_unlock(&session->mutex);
	return ret;
}

static const struct file_operations edu_resuming_fops = {
	.owner = THIS_MODULE,
	.write = edu_session_write,
	.release = edu_session_release,
};

/* Returns the file with a reference for the user; the device has its own. */
static struct file *edu_begin_session(struct edu_device *edu, const struct file_operations *operations, int flags)
{
	struct edu_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!session)
		return ERR_PTR(-ENOMEM);
	file = anon_inode_getfile("edu-migration", operations, session, flags);
	if (IS_ERR(file)) {
		kfree(session);
		return file;
	}
	stream_open(file->f_inode, file);
	mutex_init(&session->mutex);
	session->edu = edu;
	session->file = file;
	edu->session = session;
	get_file(file);
	return file;
}

/* Whoever still has the file finds the end of it. */
void edu_end_session(struct edu_device *edu)
{
	struct edu_session *session = edu->session;

	if (!session)
		return;
	edu->session = NULL;
	mutex_lock(&session->mutex);
	session->edu = NULL;
	mutex_unlock(&session->mutex);
	fput(session->file);
}

static void edu_fill_header(struct edu_session *session)
{
	mutex_lock(&session->mutex);
	session->stream.header = (struct edu_stream_header){
		.magic = cpu_to_le32(EDU_STREAM_MAGIC),
		.version = cpu_to_le32(EDU_STREAM_VERSION),
		.size = cpu_to_le32(sizeof(session->stream.registers)),
	};
	session->filled = sizeof(session->stream.header);
	mutex_unlock(&session->mutex);
}

static void edu_fill_registers(struct edu_device *edu)
{
	struct edu_session *session = edu->session;
	struct edu_registers registers;

	edu_save_registers(edu, &registers);
	mutex_lock(&session->mutex);
	session->stream.registers = (struct edu_stream_registers){
		.liveness = cpu_to_le32(registers.liveness),
		.factorial_of = cpu_to_le32(registers.factorial_of),
		.status = cpu_to_le32(registers.status),
		.interrupt_status = cpu_to_le32(registers.interrupt_status),
		.command = cpu_to_le32(registers.command),
		.source = cpu_to_le64(registers.source),
		.destination = cpu_to_le64(registers.destination),
		.count = cpu_to_le64(registers.count),
	};
	session->filled = sizeof(session->stream);
	mutex_unlock(&session->mutex);
}

/* RUNNING to PRE_COPY, STOP to STOP_COPY, and what is between them: a session begins, and is full once stopped. */
static struct file *edu_save(struct edu_device *edu, bool stopped)
{
	struct file *file = NULL;

	if (!edu->session) {
		file = edu_begin_session(edu, &edu_saving_fops, O_RDONLY);
		if (IS_ERR(file))
			return file;
		edu_fill_header(edu->session);
	}
	if (stopped)
		edu_fill_registers(edu);
	return file;
}

/* RESUMING to STOP: here the stream is judged. Where it is refused the session goes on, and a reset ends it. */
static int edu_load(struct edu_device *edu)
{
	struct edu_session *session = edu->session;
	const struct edu_stream_registers *from = &session->stream.registers;
	const struct edu_stream_header *header = &session->stream.header;
	struct edu_registers registers;
	int ret = -EINVAL;

	mutex_lock(&session->mutex);
	if (session->filled != sizeof(session->stream) || le32_to_cpu(header->magic) != EDU_STREAM_MAGIC ||
	    le32_to_cpu(header->version) != EDU_STREAM_VERSION || le32_to_cpu(header->size) != sizeof(*from) ||
	    header->reserved || from->reserved)
		goto out;
	registers = (struct edu_registers){
		.liveness = le32_to_cpu(from->liveness),
		.factorial_of = le32_to_cpu(from->factorial_of),
		.status = le32_to_cpu(from->status),
		.interrupt_status = le32_to_cpu(from->interrupt_status),
		.command = le32_to_cpu(from->command),
		.source = le64_to_cpu(from->source),
		.destination = le64_to_cpu(from->destination),
		.count = le64_to_cpu(from->count),
	};
	if (edu_registers_are_valid(&registers))
		ret = edu_load_registers(edu, &registers);
out:
	mutex_unlock(&session->mutex);
	return ret;
}

#define ARC(from, to) ((from) << 8 | (to))

/*
 * One arc, of those that vfio_mig_get_next_state() makes a path of: returns a new session's file, NULL, or the error with
 * which the device stays where it was. The caller sets the state afterwards.
 */
struct file *edu_step(struct edu_device *edu, enum vfio_device_mig_state next)
{
	if (edu_fails_on_purpose(edu, next))
		return ERR_PTR(-EIO);
	switch (ARC(edu->state, next)) {
	/* No more transfers of its own accord. One that was begun is waited for, one that is asked for now is held back. */
	case ARC(VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_RUNNING_P2P):
	case ARC(VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_PRE_COPY_P2P):
		return ERR_PTR(edu_drain_transfer(edu));
	/* The one that was held back is begun by the caller, in the new state. */
	case ARC(VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_RUNNING):
	case ARC(VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_PRE_COPY):
		return NULL;
	case ARC(VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_STOP):
		return ERR_PTR(edu_drain_factorial(edu));
	case ARC(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RUNNING_P2P):
		edu_raise_held(edu);
		return NULL;
	case ARC(VFIO_DEVICE_STATE_RUNNING, VFIO_DEVICE_STATE_PRE_COPY):
	case ARC(VFIO_DEVICE_STATE_RUNNING_P2P, VFIO_DEVICE_STATE_PRE_COPY_P2P):
		return edu_save(edu, false);
	case ARC(VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_STOP_COPY): {
		int ret = edu_drain_factorial(edu);

		return ret ? ERR_PTR(ret) : edu_save(edu, true);
	}
	case ARC(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_STOP_COPY):
		return edu_save(edu, true);
	case ARC(VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_RUNNING):
	case ARC(VFIO_DEVICE_STATE_PRE_COPY_P2P, VFIO_DEVICE_STATE_RUNNING_P2P):
	case ARC(VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_STOP):
		edu_end_session(edu);
		return NULL;
	case ARC(VFIO_DEVICE_STATE_STOP, VFIO_DEVICE_STATE_RESUMING):
		return edu_begin_session(edu, &edu_resuming_fops, O_WRONLY);
	case ARC(VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_STOP): {
		int ret = edu_load(edu);

		if (!ret)
			edu_end_session(edu);
		return ERR_PTR(ret);
	}
	default:
		WARN_ON_ONCE(true);
		return ERR_PTR(-EINVAL);
	}
}
