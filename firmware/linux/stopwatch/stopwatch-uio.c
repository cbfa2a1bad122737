/*
 * Drives vmrun's stopwatch from user space, through the kernel's own uio_pdrv_genirq (uio_pdrv_genirq.of_id=stopwatch):
 *
 *     stopwatch-uio reset start sleep 1 pause show
 *
 * Each argument is a step; a number stands for the command register's value. Interrupts are taken, counted and
 * acknowledged while it sleeps.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RESET, START, PAUSE, UPDATE, TIMEOUT, TIMEOUT_ACK, COMMANDS };
static const char *const commands[COMMANDS] = { "reset", "start", "pause", "update", "timeout", "ack" };
static const char *const states[] = { "RUNNING", "RESET", "PAUSED", "ERROR" };

/* Map 0: memory. */
struct memory {
	uint64_t data_len;
	char data[128];
};

/* Map 1: registers, 64 bits wide, driven 32 bits at a time. */
struct registers {
	uint32_t command, command_high;
	uint32_t state, flags;
};
#define CAUSE 0xffu
#define EXPIRED (1u << 31)

static volatile struct memory *memory;
static volatile struct registers *registers;
static int uio;
static unsigned interrupts;

static void die(const char *what)
{
	fprintf(stderr, "stopwatch-uio: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The text of a file below /sys/class/uio/DEVICE, without its newline. */
static int attribute(const char *device, const char *name, char *text, size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/uio/%s/%s", device, name);
	file = fopen(path, "r");
	if (!file || !fgets(text, size, file))
		return -1;
	text[strcspn(text, "\n")] = '\0';
	return fclose(file);
}

static void *map(const char *device, int index)
{
	char name[32], text[64];
	long page = sysconf(_SC_PAGESIZE);
	size_t offset;
	char *at;

	snprintf(name, sizeof(name), "maps/map%d/offset", index);
	if (attribute(device, name, text, sizeof(text)) < 0)
		die(name);
	offset = strtoul(text, NULL, 0);
	at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, uio, index * page);
	if (at == MAP_FAILED)
		die("mmap");
	return at + offset;
}

static void open_stopwatch(void)
{
	DIR *class = opendir("/sys/class/uio");
	struct dirent *entry;
	char text[64], path[300];

	while (class && (entry = readdir(class))) {
		if (attribute(entry->d_name, "name", text, sizeof(text)) < 0)
			continue;
		/* The kernel names it after its node, unit address and all. */
		text[strcspn(text, "@")] = '\0';
		if (strcmp(text, "stopwatch") != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		uio = open(path, O_RDWR);
		if (uio < 0)
			die(path);
		memory = map(entry->d_name, 0);
		registers = map(entry->d_name, 1);
		closedir(class);
		return;
	}
	errno = ENODEV;
	die("no stopwatch under /sys/class/uio (uio_pdrv_genirq.of_id=stopwatch)");
}

/* The kernel masks the interrupt when it comes; this lets the next one through. */
static void unmask(void)
{
	uint32_t on = 1;

	if (write(uio, &on, sizeof(on)) != sizeof(on))
		die("unmask");
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void sleep_and_serve(double seconds)
{
	double end = now() + seconds;

	for (double left = seconds; left > 0; left = end - now()) {
		struct pollfd wait = { .fd = uio, .events = POLLIN };
		uint32_t count;

		if (poll(&wait, 1, (int)(left * 1000) + 1) <= 0)
			continue;
		if (read(uio, &count, sizeof(count)) != sizeof(count))
			die("read");
		/*
		 * Where a controller does not tell levels from edges, the kernel replays the interrupt once that came in
		 * while it was masked: nothing is behind that one, and there is nothing to acknowledge.
		 */
		if (registers->flags & EXPIRED) {
			interrupts++;
			registers->command = TIMEOUT_ACK;
		}
		unmask();
	}
}

static void show(void)
{
	char text[sizeof(memory->data) + 1] = "";

	registers->command = UPDATE;
	/* From here on there are no exits: this is memory. */
	for (uint64_t i = 0; i < memory->data_len && i < sizeof(memory->data); i++)
		text[i] = memory->data[i];
	printf("time: %s\n", text);
}

int main(int count, char **steps)
{
	open_stopwatch();
	unmask();
	for (int i = 1; i < count; i++) {
		const char *step = steps[i];
		const char *argument = i + 1 < count ? steps[i + 1] : "0";

		if (!strcmp(step, "sleep")) {
			sleep_and_serve(atof(argument));
			i++;
		} else if (!strcmp(step, "timeout")) {
			memory->data_len = strtoull(argument, NULL, 0);
			registers->command = TIMEOUT;
			i++;
		} else if (!strcmp(step, "show")) {
			show();
		} else if (!strcmp(step, "peek")) {
			/* So many loads of the memory: what they cost can be counted outside. */
			for (unsigned long n = strtoul(argument, NULL, 0); n > 0; n--)
				(void)memory->data_len;
			i++;
		} else if (!strcmp(step, "status")) {
			uint32_t state = registers->state;

			printf("status: %s, cause %u\n", state < 4 ? states[state] : "?", registers->flags & CAUSE);
		} else if (!strcmp(step, "interrupts")) {
			printf("interrupts: %u\n", interrupts);
		} else if (!strcmp(step, "write-status")) {
			registers->state = 0;
		} else {
			uint32_t command = 0;

			while (command < COMMANDS && strcmp(step, commands[command]))
				command++;
			registers->command = command < COMMANDS ? command : strtoul(step, NULL, 0);
		}
	}
	return 0;
}
