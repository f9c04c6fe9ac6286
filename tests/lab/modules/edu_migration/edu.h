/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the driver share: the device, and what each file does for the others. main.c tells how it works. */
#ifndef EDU_MIGRATION_EDU_H
#define EDU_MIGRATION_EDU_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/vfio_pci_core.h>
#include <linux/xarray.h>

#define EDU_REG_LIVENESS 0x04
#define EDU_REG_FACTORIAL 0x08
#define EDU_REG_STATUS 0x20
#define EDU_REG_INTERRUPT_STATUS 0x24
#define EDU_REG_INTERRUPT_RAISE 0x60
#define EDU_REG_INTERRUPT_ACKNOWLEDGE 0x64
#define EDU_REG_DMA_SOURCE 0x80
#define EDU_REG_DMA_DESTINATION 0x88
#define EDU_REG_DMA_COUNT 0x90
#define EDU_REG_DMA_COMMAND 0x98

#define EDU_STATUS_COMPUTING 0x01
#define EDU_STATUS_INTERRUPT 0x80
#define EDU_DMA_RUN 0x1
#define EDU_DMA_TO_RAM 0x2
#define EDU_DMA_INTERRUPT 0x4
#define EDU_DMA_KNOWN (EDU_DMA_RUN | EDU_DMA_TO_RAM | EDU_DMA_INTERRUPT)
#define EDU_BUFFER 0x40000
#define EDU_BUFFER_SIZE 4096
#define EDU_DMA_MASK ((1ull << 28) - 1)
/* From here on n! is 0 modulo 2^32, as the register is after power on. */
#define EDU_FACTORIAL_ZERO 34

/* What can be read from the device and written to it, and what the driver knows of it from the writes that it saw. */
struct edu_registers {
	u32 liveness;		/* as it reads */
	u32 factorial_of;	/* n of the last factorial */
	u32 status;		/* EDU_STATUS_INTERRUPT or nothing */
	u32 interrupt_status;
	u32 command;		/* EDU_DMA_RUN: a transfer is held back */
	u64 source, destination, count;
};

/* The stream. All of it is little endian. The header is there from PRE_COPY on, the rest after the stop. */
#define EDU_STREAM_MAGIC 0x4d554445 /* "EDUM" */
#define EDU_STREAM_VERSION 1

struct edu_stream_header {
	__le32 magic;
	__le32 version;
	__le32 size;		/* of what follows */
	__le32 reserved;
};

struct edu_stream_registers {
	__le32 liveness;
	__le32 factorial_of;
	__le32 status;
	__le32 interrupt_status;
	__le32 command;
	__le32 reserved;
	__le64 source, destination, count;
};

struct edu_stream {
	struct edu_stream_header header;
	struct edu_stream_registers registers;
};

struct edu_device;

/* A data transfer session. It outlives its device's interest in it by as long as the user holds the file. */
struct edu_session {
	struct edu_device *edu;	/* NULL once the session is over */
	struct mutex mutex;
	struct file *file;
	struct edu_stream stream;
	size_t filled;		/* bytes of the stream that are there */
};

struct edu_device {
	struct vfio_pci_core_device core;
	struct mutex state_mutex;	/* all below */
	bool open;			/* the registers can be reached */
	enum vfio_device_mig_state state;
	unsigned long deferred_reset;	/* bit 0, set without the mutex */
	struct edu_session *session;	/* saving or resuming; holds a reference of its file */
	u32 factorial_of;		/* the last n that was written */
	u32 command;			/* the last command, without EDU_DMA_RUN */
	bool held;			/* that command waits for RUNNING */
	u32 raise;			/* causes of an interrupt that wait for the device to leave STOP */
	bool logging;
	bool log_overflow;		/* the log ran out of memory: every page counts */
	struct xarray log;		/* by page frame number of the IOVA */
};

/* main.c. Takes state_mutex, and does a reset that came meanwhile. */
void edu_lock(struct edu_device *edu);
static inline void edu_unlock(struct edu_device *edu)
{
	mutex_unlock(&edu->state_mutex);
}

static inline bool edu_is_stopped(const struct edu_device *edu)
{
	return edu->state == VFIO_DEVICE_STATE_STOP || edu->state == VFIO_DEVICE_STATE_STOP_COPY ||
	       edu->state == VFIO_DEVICE_STATE_RESUMING || edu->state == VFIO_DEVICE_STATE_ERROR;
}

static inline bool edu_is_p2p(const struct edu_device *edu)
{
	return edu->state == VFIO_DEVICE_STATE_RUNNING_P2P || edu->state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/* registers.c. All with state_mutex. */
ssize_t edu_bar_access(struct edu_device *edu, char __user *buffer, size_t count, loff_t *position, bool write);
void edu_reset_registers(struct edu_device *edu);
int edu_drain_transfer(struct edu_device *edu);
int edu_drain_factorial(struct edu_device *edu);
void edu_begin_held(struct edu_device *edu);
void edu_raise_held(struct edu_device *edu);
void edu_save_registers(struct edu_device *edu, struct edu_registers *registers);
bool edu_registers_are_valid(const struct edu_registers *registers);
int edu_load_registers(struct edu_device *edu, const struct edu_registers *registers);
/* A transfer to RAM that runs now: its target. */
bool edu_transfer_to_ram(struct edu_device *edu, u64 *iova, u64 *length);

/* state.c. All with state_mutex. */
struct file *edu_step(struct edu_device *edu, enum vfio_device_mig_state next);
void edu_end_session(struct edu_device *edu);

/* fail.c. With state_mutex: whether the arc is to fail, by the module's parameters; the device may be in ERROR then. */
bool edu_fails_on_purpose(struct edu_device *edu, enum vfio_device_mig_state next);

/* log.c */
extern const struct vfio_log_ops edu_log_ops;
void edu_log_write(struct edu_device *edu, u64 iova, u64 length); /* with state_mutex */
void edu_log_end(struct edu_device *edu);			  /* the same */

#endif
