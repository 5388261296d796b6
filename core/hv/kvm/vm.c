/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/kvm.h"
#include "util/cleanup.h"
#include "util/overflow.h"

int kvm_ioctl(int fd, unsigned long request, void *arg)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? -errno : r;
}

static int check_fd_extension(int fd, int cap)
{
	int r = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

int kvm_check_extension(const struct hv_vm *vm, int cap)
{
	return check_fd_extension(vm->fd, cap);
}

/* The signal only has to interrupt KVM_RUN. */
static void on_kick(int sig)
{
	(void)sig;
}

static int install_kick_handler(void)
{
	struct sigaction sa = { .sa_handler = on_kick };

	sigfillset(&sa.sa_mask);
	return sigaction(KVM_KICK_SIGNAL, &sa, NULL) ? -errno : 0;
}

static int open_device(const char *path, int *ret_fd, struct error *err)
{
	CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0) {
		int r = -errno;

		error_errno(err, r, "%s", path);
		if (r == -ENOENT)
			error_set(err, r,
				  "%s: not there; load the module kvm_amd or kvm_intel, and "
				  "enable virtualisation in the firmware",
				  path);
		else if (r == -EACCES || r == -EPERM)
			error_set(err, r, "%s: no permission; join the group that owns it", path);
		return r;
	}
	version = kvm_ioctl(fd, KVM_GET_API_VERSION, NULL);
	if (version < 0)
		return error_set(err, -ENODEV, "%s: not a KVM device", path);
	if (version != KVM_API_VERSION)
		return error_set(err, -ENODEV, "%s: KVM API %d, need %d", path, version,
				 KVM_API_VERSION);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int check_capabilities(int fd, struct error *err)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "USER_MEMORY" },
		{ KVM_CAP_IRQCHIP, "IRQCHIP" },
		{ KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING" },
		{ KVM_CAP_IRQFD, "IRQFD" },
		{ KVM_CAP_IOEVENTFD, "IOEVENTFD" },
		{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (!check_fd_extension(fd, needed[i].cap))
			return error_set(err, -ENODEV, "this KVM lacks the capability %s",
					 needed[i].name);
	return 0;
}

static int create_vm_fd(struct hv_vm *vm)
{
	int r;

	/* KVM_CREATE_VM gives up with EINTR when a signal arrives. */
	do
		r = ioctl(vm->dev_fd, KVM_CREATE_VM, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	vm->fd = r;
	return 0;
}

static int setup_vm(struct hv_vm *vm, struct error *err)
{
	uint64_t identity = KVM_IDENTITY_MAP_ADDR;
	int r;

	r = create_vm_fd(vm);
	if (r < 0)
		return error_errno(err, r, "cannot create a virtual machine");
	r = ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)KVM_TSS_ADDR);
	if (r < 0)
		return error_errno(err, -errno, "KVM_SET_TSS_ADDR");
	r = kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	if (r < 0)
		return error_errno(err, r, "KVM_SET_IDENTITY_MAP_ADDR");
	r = kvm_cpuid_init(vm);
	if (r < 0)
		return error_errno(err, r, "KVM_GET_SUPPORTED_CPUID");
	return 0;
}

int hv_vm_create(const char *dev_path, struct hv_vm **ret_vm, struct error *err)
{
	struct hv_vm *vm;
	int r;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return error_errno(err, -ENOMEM, "virtual machine");
	vm->dev_fd = vm->fd = -1;
	pthread_mutex_init(&vm->route_lock, NULL);

	r = open_device(dev_path ? dev_path : "/dev/kvm", &vm->dev_fd, err);
	if (r < 0)
		goto out_destroy;
	r = check_capabilities(vm->dev_fd, err);
	if (r < 0)
		goto out_destroy;
	r = kvm_ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (r < (int)sizeof(struct kvm_run)) {
		r = error_set(err, -ENODEV, "KVM_GET_VCPU_MMAP_SIZE: %d", r);
		goto out_destroy;
	}
	vm->run_size = r;
	r = install_kick_handler();
	if (r < 0) {
		error_errno(err, r, "sigaction");
		goto out_destroy;
	}
	r = setup_vm(vm, err);
	if (r < 0)
		goto out_destroy;
	*ret_vm = vm;
	return 0;

out_destroy:
	hv_vm_destroy(vm);
	return r;
}

void hv_vm_destroy(struct hv_vm *vm)
{
	if (!vm)
		return;
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	pthread_mutex_destroy(&vm->route_lock);
	free(vm->cpuid);
	free(vm);
}

int hv_create_irqchip(struct hv_vm *vm, struct error *err)
{
	int r;

	r = kvm_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL);
	if (r < 0)
		return error_errno(err, r, "cannot create the interrupt controllers");
	r = kvm_irq_init(vm);
	if (r < 0)
		return error_errno(err, r, "cannot set up interrupt routing");
	return 0;
}

unsigned hv_max_vcpus(const struct hv_vm *vm)
{
	int n = kvm_check_extension(vm, KVM_CAP_MAX_VCPUS);

	if (!n)
		n = kvm_check_extension(vm, KVM_CAP_NR_VCPUS);
	return n ? n : 4; /* the number that the API promises when it names none */
}

unsigned hv_max_slots(const struct hv_vm *vm)
{
	int n = kvm_check_extension(vm, KVM_CAP_NR_MEMSLOTS);

	return n ? n : 32;
}

int hv_map(struct hv_vm *vm, unsigned slot, uint64_t gpa, void *host, uint64_t len, bool readonly)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = readonly ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

int hv_ioeventfd(struct hv_vm *vm, const struct hv_ioeventfd *ioev, bool assign)
{
	struct kvm_ioeventfd io = {
		.addr = ioev->addr,
		.len = ioev->len,
		.fd = ioev->fd,
		.datamatch = ioev->datamatch,
		.flags = (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN) |
			 (ioev->pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
			 (ioev->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0),
	};

	return kvm_ioctl(vm->fd, KVM_IOEVENTFD, &io);
}
