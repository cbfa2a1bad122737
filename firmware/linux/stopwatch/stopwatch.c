// SPDX-License-Identifier: GPL-2.0
/*
 * Driver of vmrun's stopwatch (src/vdevs/stopwatch.ts).
 *
 *   /dev/stopwatch            read: the time as text; write: a command, "start", "timeout 3", or a bare number
 *   /sys/class/misc/stopwatch/device/
 *       time                  the same text
 *       state, cause          what the device is in, and the cause of an error
 *       command               write: as to /dev/stopwatch
 *       interrupts            timeouts that came, and were acknowledged
 */
#include <linux/bits.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/uaccess.h>

/* Region 0: memory, no exits. */
#define MEM_DATA_LEN	0x00
#define MEM_DATA	0x08
#define DATA_SIZE	128

/* Region 1: registers. */
#define REG_COMMAND	0x00
#define REG_STATUS	0x08
#define REG_FLAGS	0x0c
#define FLAGS_CAUSE	GENMASK(7, 0)
#define FLAGS_EXPIRED	BIT(31)

enum command { RESET, START, PAUSE, UPDATE, TIMEOUT, TIMEOUT_ACK, COMMANDS };

static const char *const commands[COMMANDS] = { "reset", "start", "pause", "update", "timeout", "ack" };
static const char *const states[] = { "running", "reset", "paused", "error" };

struct stopwatch {
	void __iomem *mem;
	void __iomem *regs;
	struct miscdevice misc;
	/* One user of the memory region at a time: it carries arguments as well as answers. */
	struct mutex lock;
	atomic_t interrupts;
};

static irqreturn_t stopwatch_interrupt(int irq, void *data)
{
	struct stopwatch *sw = data;

	if (!(readl(sw->regs + REG_FLAGS) & FLAGS_EXPIRED))
		return IRQ_NONE;
	atomic_inc(&sw->interrupts);
	writel(TIMEOUT_ACK, sw->regs + REG_COMMAND);
	return IRQ_HANDLED;
}

/* Asks for the time, and copies its text with a newline; answers the length. */
static size_t stopwatch_show(struct stopwatch *sw, char *text)
{
	size_t length;

	mutex_lock(&sw->lock);
	writel(UPDATE, sw->regs + REG_COMMAND);
	length = min_t(size_t, readl(sw->mem + MEM_DATA_LEN), DATA_SIZE);
	memcpy_fromio(text, sw->mem + MEM_DATA, length);
	mutex_unlock(&sw->lock);
	length = strnlen(text, length);
	text[length++] = '\n';
	return length;
}

/* "start", "timeout 3", or the number of a command, which may be one that there is not. */
static int stopwatch_obey(struct stopwatch *sw, char *line)
{
	char *word, *rest = strim(line);
	u32 command, seconds = 0;
	int known, error;

	word = strsep(&rest, " ");
	known = match_string(commands, COMMANDS, word);
	if (known >= 0) {
		command = known;
	} else {
		error = kstrtou32(word, 0, &command);
		if (error)
			return error;
	}
	if (rest) {
		error = kstrtou32(rest, 0, &seconds);
		if (error)
			return error;
	}
	mutex_lock(&sw->lock);
	if (command == TIMEOUT) {
		writel(seconds, sw->mem + MEM_DATA_LEN);
		writel(0, sw->mem + MEM_DATA_LEN + 4);
	}
	writel(command, sw->regs + REG_COMMAND);
	mutex_unlock(&sw->lock);
	return 0;
}

static struct stopwatch *of_file(struct file *file)
{
	return container_of(file->private_data, struct stopwatch, misc);
}

static ssize_t stopwatch_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	char text[DATA_SIZE + 1];

	return simple_read_from_buffer(to, count, at, text, stopwatch_show(of_file(file), text));
}

static ssize_t stopwatch_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	char line[32];
	int error;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	line[count] = '\0';
	error = stopwatch_obey(of_file(file), line);
	return error ? error : count;
}

static const struct file_operations stopwatch_operations = {
	.owner = THIS_MODULE,
	.read = stopwatch_read,
	.write = stopwatch_write,
	.llseek = default_llseek,
};

static ssize_t time_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return stopwatch_show(dev_get_drvdata(dev), text);
}
static DEVICE_ATTR_RO(time);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct stopwatch *sw = dev_get_drvdata(dev);
	u32 state = readl(sw->regs + REG_STATUS);

	return sysfs_emit(text, "%s\n", state < ARRAY_SIZE(states) ? states[state] : "unknown");
}
static DEVICE_ATTR_RO(state);

static ssize_t cause_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct stopwatch *sw = dev_get_drvdata(dev);

	return sysfs_emit(text, "%u\n", readl(sw->regs + REG_FLAGS) & (u32)FLAGS_CAUSE);
}
static DEVICE_ATTR_RO(cause);

static ssize_t command_store(struct device *dev, struct device_attribute *attr, const char *text, size_t count)
{
	char line[32];
	int error;

	if (strscpy(line, text, sizeof(line)) < 0)
		return -EINVAL;
	error = stopwatch_obey(dev_get_drvdata(dev), line);
	return error ? error : count;
}
static DEVICE_ATTR_WO(command);

static ssize_t interrupts_show(struct device *dev, struct device_attribute *attr, char *text)
{
	struct stopwatch *sw = dev_get_drvdata(dev);

	return sysfs_emit(text, "%d\n", atomic_read(&sw->interrupts));
}
static DEVICE_ATTR_RO(interrupts);

static struct attribute *stopwatch_attrs[] = {
	&dev_attr_time.attr,
	&dev_attr_state.attr,
	&dev_attr_cause.attr,
	&dev_attr_command.attr,
	&dev_attr_interrupts.attr,
	NULL,
};
ATTRIBUTE_GROUPS(stopwatch);

static int stopwatch_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct stopwatch *sw;
	int irq, error;

	sw = devm_kzalloc(dev, sizeof(*sw), GFP_KERNEL);
	if (!sw)
		return -ENOMEM;
	mutex_init(&sw->lock);
	platform_set_drvdata(pdev, sw);

	sw->mem = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(sw->mem))
		return PTR_ERR(sw->mem);
	sw->regs = devm_platform_ioremap_resource(pdev, 1);
	if (IS_ERR(sw->regs))
		return PTR_ERR(sw->regs);

	irq = platform_get_irq(pdev, 0);
	if (irq < 0)
		return irq;
	error = devm_request_irq(dev, irq, stopwatch_interrupt, 0, dev_name(dev), sw);
	if (error)
		return error;

	sw->misc.minor = MISC_DYNAMIC_MINOR;
	sw->misc.name = "stopwatch";
	sw->misc.fops = &stopwatch_operations;
	sw->misc.parent = dev;
	error = misc_register(&sw->misc);
	if (error)
		return error;
	dev_info(dev, "%s at power-on\n", device_property_present(dev, "start-at-boot") ? "started" : "stopped");
	return 0;
}

static void stopwatch_remove(struct platform_device *pdev)
{
	struct stopwatch *sw = platform_get_drvdata(pdev);

	misc_deregister(&sw->misc);
	writel(RESET, sw->regs + REG_COMMAND);
}

static const struct of_device_id stopwatch_ids[] = {
	{ .compatible = "stopwatch" },
	{ }
};
MODULE_DEVICE_TABLE(of, stopwatch_ids);

static struct platform_driver stopwatch_driver = {
	.driver = {
		.name = "stopwatch",
		.of_match_table = stopwatch_ids,
		.dev_groups = stopwatch_groups,
	},
	.probe = stopwatch_probe,
	.remove = stopwatch_remove,
};
module_platform_driver(stopwatch_driver);

MODULE_DESCRIPTION("vmrun's stopwatch");
MODULE_LICENSE("GPL");
