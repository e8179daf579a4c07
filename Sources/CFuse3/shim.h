#pragma once

// The API of libfuse 3.14, which Debian 12 has. _FILE_OFFSET_BITS stays undefined: with it, this module and Swift's Glibc
// disagree about struct flock. On 64-bit machines off_t has 64 bits all the same.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>

#if defined(__LP64__) == 0
#error "twelvefs needs a 64-bit machine: off_t would have 32 bits here"
#endif

// In C because FUSE_ARGS_INIT is a macro with a compound literal, and because newer versions of libfuse turn
// fuse_session_new itself into a macro. Takes "-o" options, or none; NULL when libfuse refuses them (it logs why).
static inline struct fuse_session *twelvefs_session_new(
    const char *options, const struct fuse_lowlevel_ops *operations, void *userdata) {
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct fuse_session *session = NULL;
    if (fuse_opt_add_arg(&args, "twelvefs") == 0 &&
        (options[0] == '\0' || (fuse_opt_add_arg(&args, "-o") == 0 && fuse_opt_add_arg(&args, options) == 0)))
        session = fuse_session_new(&args, operations, sizeof(*operations), userdata);
    fuse_opt_free_args(&args);
    return session;
}

// In C because newer versions widen `want` to 64 bits under another name (want_ext) and have a function for it; the bits
// that this project uses stay where they are.
static inline void twelvefs_want(struct fuse_conn_info *connection, unsigned int wanted, unsigned int unwanted) {
    connection->want |= wanted & connection->capable;
    connection->want &= ~unwanted;
}

// These four are in C because their declarations need _GNU_SOURCE, which would give this module another view of the C
// library than the Glibc module has.
extern int pthread_setname_np(pthread_t thread, const char *name);
static inline void twelvefs_name_this_thread(const char *name) {
    pthread_setname_np(pthread_self(), name);
}

extern int pipe2(int descriptors[2], int flags);
static inline int twelvefs_pipe(int descriptors[2]) {
    return pipe2(descriptors, O_CLOEXEC);
}

extern int dup3(int descriptor, int number, int flags);
static inline int twelvefs_duplicate_as(int descriptor, int number) {
    return dup3(descriptor, number, O_CLOEXEC);
}

extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
static inline int twelvefs_close_from(posix_spawn_file_actions_t *actions, int from) {
    return posix_spawn_file_actions_addclosefrom_np(actions, from);
}

// In C because the flags are enumerators and casts, which Swift imports under varying types.
static inline int twelvefs_epoll_add(int poller, int descriptor, int is_exclusive) {
    struct epoll_event event = {.events = EPOLLIN | (is_exclusive ? EPOLLEXCLUSIVE : 0), .data = {.fd = descriptor}};
    return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
}

// In C because the CMSG macros are what takes a control message apart. Waits for a descriptor that is passed through a
// socket; -1 with errno set, or with errno 0 when the other end is closed first.
static inline int twelvefs_receive_descriptor(int socket) {
    union {
        struct cmsghdr header;
        char buffer[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t received;
    do
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received == -1 && errno == EINTR);
    if (received == -1)
        return -1;
    errno = 0;
    struct cmsghdr *header = received > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return -1;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
    return descriptor;
}
