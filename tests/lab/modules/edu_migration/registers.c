// SPDX-License-Identifier: GPL-2.0
/*
 * The registers of edu: the user's accesses, which all come through here, and the driver's own.
 *
 * The user decides whether the device decodes memory accesses (PCI_COMMAND). The core's memory_lock guards that: the user's
 * accesses fail where it does not, the driver's own turn it on and off again. The order is state_mutex, memory_lock; nobody
 * takes state_mutex with memory_lock held.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/pci.h>
#include <linux/uaccess.h>

#include "edu.h"

#define EDU_TRANSFER_MS 2000	/* it takes 100 */
#define EDU_FACTORIAL_MS 20000	/* of four thousand millions, the largest */

static void __iomem *edu_io(struct edu_device *edu)
{
	return edu->core.barmap[0];
}

/* The driver's own accesses stand between these two. */
static u16 edu_begin(struct edu_device *edu)
{
	u16 command;

	down_write(&edu->core.memory_lock);
	pci_read_config_word(edu->core.pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_MEMORY))
		pci_write_config_word(edu->core.pdev, PCI_COMMAND, command | PCI_COMMAND_MEMORY);
	return command;
}

static void edu_end(struct edu_device *edu, u16 command)
{
	if (!(command & PCI_COMMAND_MEMORY))
		pci_write_config_word(edu->core.pdev, PCI_COMMAND, command);
	up_write(&edu->core.memory_lock);
}

/* The registers of 8 bytes; a command that is not begun changes nothing. */
static bool edu_transfer_fits(u32 command, u64 source, u64 destination, u64 count)
{
	u64 place = command & EDU_DMA_TO_RAM ? source : destination;

	/* One that ends where the buffer ends is too long for QEMU up to 7.2. */
	return place >= EDU_BUFFER && place < EDU_BUFFER + EDU_BUFFER_SIZE &&
	       count < EDU_BUFFER + EDU_BUFFER_SIZE - place;
}

static bool edu_runs(struct edu_device *edu)
{
	return readl(edu_io(edu) + EDU_REG_DMA_COMMAND) & EDU_DMA_RUN;
}

/*
 * The doorbell. It is logged before it is rung, so that no write to RAM is ever before its entry; log.c sees to it that the
 * entry stays until the write is over. What does not fit the buffer would end all of QEMU, or write past it, and is dropped.
 */
static void edu_ring(struct edu_device *edu, u32 command)
{
	void __iomem *io = edu_io(edu);
	u64 source = readq(io + EDU_REG_DMA_SOURCE), destination = readq(io + EDU_REG_DMA_DESTINATION);
	u64 count = readq(io + EDU_REG_DMA_COUNT);

	if (!edu_transfer_fits(command, source, destination, count)) {
		dev_warn_ratelimited(&edu->core.pdev->dev, "a transfer of %llu bytes that does not fit the buffer is dropped\n",
				     count);
		return;
	}
	edu->command = command & ~EDU_DMA_RUN;
	if (edu_is_p2p(edu)) {
		edu->held = true;
		return;
	}
	if (command & EDU_DMA_TO_RAM)
		edu_log_write(edu, destination, count);
	writel(command | EDU_DMA_RUN, io + EDU_REG_DMA_COMMAND);
}

static bool edu_is_held_register(struct edu_device *edu, u64 offset)
{
	return edu->held && offset >= EDU_REG_DMA_SOURCE && offset <= EDU_REG_DMA_COMMAND;
}

static void edu_write_one(struct edu_device *edu, u64 offset, u64 value, size_t width)
{
	void __iomem *io = edu_io(edu);

	/* As the device, while a transfer runs. */
	if (edu_is_held_register(edu, offset))
		return;
	if (offset == EDU_REG_DMA_COMMAND) {
		if ((value & EDU_DMA_RUN) && !edu_runs(edu))
			edu_ring(edu, value & EDU_DMA_KNOWN);
		return;
	}
	if (offset == EDU_REG_FACTORIAL && !(readl(io + EDU_REG_STATUS) & EDU_STATUS_COMPUTING))
		edu->factorial_of = value;
	if (width == 8)
		writeq(value, io + offset);
	else
		writel(value, io + offset);
}

static u64 edu_read_one(struct edu_device *edu, u64 offset, size_t width)
{
	void __iomem *io = edu_io(edu);

	if (offset == EDU_REG_DMA_COMMAND)
		return edu->command | (edu->held || edu_runs(edu) ? EDU_DMA_RUN : 0);
	if (offset == EDU_REG_INTERRUPT_STATUS)
		return readl(io + offset) | edu->raise;
	return width == 8 ? readq(io + offset) : readl(io + offset);
}

static int edu_access_one(struct edu_device *edu, char __user *buffer, u64 offset, size_t width, bool write)
{
	u64 value = 0;
	u16 command;
	int ret = 0;

	if (write && copy_from_user(&value, buffer, width))
		return -EFAULT;
	down_read(&edu->core.memory_lock);
	pci_read_config_word(edu->core.pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_MEMORY))
		ret = -EIO;
	else if (write)
		edu_write_one(edu, offset, value, width);
	else
		value = edu_read_one(edu, offset, width);
	up_read(&edu->core.memory_lock);
	if (ret || write)
		return ret;
	return copy_to_user(buffer, &value, width) ? -EFAULT : 0;
}

static size_t edu_width(u64 offset, size_t count)
{
	if (offset >= EDU_REG_DMA_SOURCE && offset % 8 == 0 && count >= 8)
		return 8;
	return offset % 4 == 0 && count >= 4 ? 4 : 0;
}

/* A stopped device changes nothing, so it is not written to; it may be read. */
ssize_t edu_bar_access(struct edu_device *edu, char __user *buffer, size_t count, loff_t *position, bool write)
{
	u64 offset = *position & VFIO_PCI_OFFSET_MASK;
	u64 size = pci_resource_len(edu->core.pdev, 0);
	size_t done = 0, width;
	int ret = 0;

	if (offset >= size)
		return -EINVAL;
	if (write && edu_is_stopped(edu))
		return -EBUSY;
	count = min_t(u64, count, size - offset);
	for (; !ret && done < count; done += width, offset += width, buffer += width) {
		width = edu_width(offset, count - done);
		ret = width ? edu_access_one(edu, buffer, offset, width, write) : -EINVAL;
		if (ret)
			break;
	}
	*position += done;
	return done ? done : ret;
}

/* Waits until the bits of the register are clear. */
static int edu_wait(struct edu_device *edu, u32 offset, u32 bits, unsigned int ms)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(ms);
	bool late, over;

	do {
		u16 command = edu_begin(edu);

		late = time_after(jiffies, deadline);
		over = !(readl(edu_io(edu) + offset) & bits);
		edu_end(edu, command);
		if (over)
			return 0;
		usleep_range(500, 1000);
	} while (!late);
	pci_warn(edu->core.pdev, "the device is still at work after %u ms\n", ms);
	return -ETIMEDOUT;
}

int edu_drain_transfer(struct edu_device *edu)
{
	return edu_wait(edu, EDU_REG_DMA_COMMAND, EDU_DMA_RUN, EDU_TRANSFER_MS);
}

int edu_drain_factorial(struct edu_device *edu)
{
	return edu_wait(edu, EDU_REG_STATUS, EDU_STATUS_COMPUTING, EDU_FACTORIAL_MS);
}

/* In RUNNING or PRE_COPY: the transfer that was asked for meanwhile. */
void edu_begin_held(struct edu_device *edu)
{
	u16 command;

	if (!edu->held)
		return;
	edu->held = false;
	command = edu_begin(edu);
	edu_ring(edu, edu->command | EDU_DMA_RUN);
	edu_end(edu, command);
}

/* An interrupt that the guest had not acknowledged is raised once more: one too many is allowed, one too few is not. */
void edu_raise_held(struct edu_device *edu)
{
	u16 command;

	if (!edu->raise)
		return;
	command = edu_begin(edu);
	writel(edu->raise, edu_io(edu) + EDU_REG_INTERRUPT_RAISE);
	edu_end(edu, command);
	edu->raise = 0;
}

void edu_save_registers(struct edu_device *edu, struct edu_registers *registers)
{
	u16 command = edu_begin(edu);
	void __iomem *io = edu_io(edu);

	*registers = (struct edu_registers){
		.liveness = readl(io + EDU_REG_LIVENESS),
		.factorial_of = edu->factorial_of,
		.status = readl(io + EDU_REG_STATUS) & EDU_STATUS_INTERRUPT,
		.interrupt_status = readl(io + EDU_REG_INTERRUPT_STATUS) | edu->raise,
		.command = edu->command | (edu->held ? EDU_DMA_RUN : 0),
		.source = readq(io + EDU_REG_DMA_SOURCE),
		.destination = readq(io + EDU_REG_DMA_DESTINATION),
		.count = readq(io + EDU_REG_DMA_COUNT),
	};
	edu_end(edu, command);
}

/* A stream may say what it likes. */
bool edu_registers_are_valid(const struct edu_registers *registers)
{
	if (registers->status & ~EDU_STATUS_INTERRUPT || registers->command & ~EDU_DMA_KNOWN)
		return false;
	return !(registers->command & EDU_DMA_RUN) ||
	       edu_transfer_fits(registers->command, registers->source, registers->destination, registers->count);
}

/*
 * The result of a factorial cannot be written, but it can be computed once more. The interrupt status is left for the
 * way out of STOP, as raising it sends an interrupt.
 */
int edu_load_registers(struct edu_device *edu, const struct edu_registers *registers)
{
	void __iomem *io = edu_io(edu);
	u16 command;
	int ret;

	ret = edu_drain_transfer(edu) ?: edu_drain_factorial(edu);
	if (ret)
		return ret;
	command = edu_begin(edu);
	writel(0, io + EDU_REG_STATUS);
	writel(~0u, io + EDU_REG_INTERRUPT_ACKNOWLEDGE);
	writel(min_t(u32, registers->factorial_of, EDU_FACTORIAL_ZERO), io + EDU_REG_FACTORIAL);
	edu_end(edu, command);
	ret = edu_drain_factorial(edu);
	if (ret)
		return ret;
	command = edu_begin(edu);
	writel(~registers->liveness, io + EDU_REG_LIVENESS);
	writel(registers->status, io + EDU_REG_STATUS);
	writeq(registers->source, io + EDU_REG_DMA_SOURCE);
	writeq(registers->destination, io + EDU_REG_DMA_DESTINATION);
	writeq(registers->count, io + EDU_REG_DMA_COUNT);
	edu_end(edu, command);
	edu->factorial_of = registers->factorial_of;
	edu->command = registers->command & ~EDU_DMA_RUN;
	edu->held = registers->command & EDU_DMA_RUN;
	edu->raise = registers->interrupt_status;
	return 0;
}

/* What the device has after power on. edu cannot be stopped in the middle of a transfer: it is waited for. */
void edu_reset_registers(struct edu_device *edu)
{
	static const struct edu_registers initial = { .factorial_of = EDU_FACTORIAL_ZERO };

	if (edu_load_registers(edu, &initial))
		pci_err(edu->core.pdev, "the device could not be reset\n");
}

bool edu_transfer_to_ram(struct edu_device *edu, u64 *iova, u64 *length)
{
	u16 command = edu_begin(edu);
	void __iomem *io = edu_io(edu);
	bool runs = edu_runs(edu) && edu->command & EDU_DMA_TO_RAM;

	*iova = readq(io + EDU_REG_DMA_DESTINATION);
	*length = readq(io + EDU_REG_DMA_COUNT);
	edu_end(edu, command);
	return runs;
}
