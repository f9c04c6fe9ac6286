// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells a PCI function's driver of an error, as the PCI core does when AER reports one that was not corrected:
 *
 *   insmod lab_aer.ko address=0000:01:00.0
 */
#include <linux/module.h>
#include <linux/pci.h>

static char *address;
module_param(address, charp, 0444);
MODULE_PARM_DESC(address, "DOMAIN:BUS:DEVICE.FUNCTION");

static int __init lab_aer_init(void)
{
	unsigned int domain, bus, device, function;
	struct pci_dev *pdev;
	int ret = -ENODEV;

	if (!address || sscanf(address, "%x:%x:%x.%x", &domain, &bus, &device, &function) != 4)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(device, function));
	if (!pdev)
		return -ENODEV;
	device_lock(&pdev->dev);
	if (pdev->driver && pdev->driver->err_handler && pdev->driver->err_handler->error_detected) {
		pci_info(pdev, "lab_aer: an error made on purpose\n");
		pdev->driver->err_handler->error_detected(pdev, pci_channel_io_frozen);
		ret = 0;
	}
	device_unlock(&pdev->dev);
	pci_dev_put(pdev);
	return ret;
}
module_init(lab_aer_init);

static void __exit lab_aer_exit(void)
{
}
module_exit(lab_aer_exit);

MODULE_DESCRIPTION("An error of a PCI function made on purpose");
MODULE_LICENSE("GPL");
