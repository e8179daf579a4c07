// System calls about processes that Debian 12's C library has no function for, or none that the Glibc module shows.
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// What linux/pidfd.h of Linux 6.15 declares. The headers that a program is built with may be older than the kernel it
// runs on; numbers and layout are the kernel's for ever.
struct process_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t pid;
    uint32_t thread_group;
    uint32_t others[9];
    int32_t exit_code;
};
// PIDFD_INFO_EXIT
static const uint64_t process_info_exit = UINT64_C(1) << 3;
// PIDFD_THREAD, which is O_EXCL
static const unsigned int process_pidfd_thread = 0200;

// In C because syscall(2) takes a variable number of arguments. 434 is pidfd_open on every architecture.
static inline int process_pidfd_open(pid_t pid, unsigned int flags) { return (int)syscall(434, pid, flags); }

// In C because the request's number is made by a macro, of the structure's size.
static inline int process_pidfd_info(int descriptor, uint64_t wanted, struct process_info *info) {
    memset(info, 0, sizeof *info);
    info->mask = wanted;
    return ioctl(descriptor, _IOWR(0xFF, 11, struct process_info), info);
}

// In C because syscall(2) takes a variable number of arguments. Gives the calling thread a descriptor table of its own
// that holds the first three alone: 436 is close_range, 2 is CLOSE_RANGE_UNSHARE.
static inline int process_unshare_descriptors(void) { return (int)syscall(436, 3U, ~0U, 2U); }

// In C because gettid(2) is newer than some C libraries' headers show.
static inline pid_t process_thread_id(void) { return (pid_t)syscall(SYS_gettid); }

// In C because syscall(2) takes a variable number of arguments. 0 when two threads have the same descriptor table: 2 is
// KCMP_FILES. Needs the rights to look at both, and a kernel that was built with kcmp(2).
static inline int process_shares_descriptors(pid_t first, pid_t second) {
    return (int)syscall(SYS_kcmp, first, second, 2, 0UL, 0UL);
}
