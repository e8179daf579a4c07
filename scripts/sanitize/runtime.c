// Tells the thread sanitizer in what order Swift's runtime makes things happen: a library to be preloaded.
//
// The runtime is not instrumented. Where it alone orders what two threads do, the sanitizer would report what is right:
//
// - a Mutex that two threads want at once. Its quick ways are compiled into its callers, where they are seen. The slow ones are
//   functions of `_MutexHandle`, which is the lock's 32-bit word (stdlib/public/Synchronization/Mutex/LinuxImpl.swift);
// - an object that one thread has released, and another finds to be its alone: then it is changed in place, as arrays and
//   dictionaries are, or destroyed (stdlib/public/SwiftShims/swift/shims/RefCount.h);
// - a continuation that is resumed before its task waits for it (stdlib/public/Concurrency/Task.cpp). A task that waits is seen.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Only programs that are sanitized have these.
__attribute__((weak)) void __tsan_acquire(void *);
__attribute__((weak)) void __tsan_release(void *);

static void acquire(void *what) {
    if (__tsan_acquire) __tsan_acquire(what);
}

static void release(void *what) {
    if (__tsan_release) __tsan_release(what);
}

// The runtime's own function of this name.
#define RUNTIMES(function)                                                \
    ({                                                                    \
        static _Atomic(void *) next;                                      \
        void *found = atomic_load_explicit(&next, memory_order_relaxed);  \
        if (!found) {                                                     \
            found = dlsym(RTLD_NEXT, function);                           \
            atomic_store_explicit(&next, found, memory_order_relaxed);    \
        }                                                                 \
        found;                                                            \
    })

#define SWIFT_CALL __attribute__((swiftcall))
#define SWIFT_ASYNC_CALL __attribute__((swiftasynccall))
#define SWIFT_SELF __attribute__((swift_context))

// --- Mutex ---------------------------------------------------------------------------------------------------------------

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT_CALL void (*LockSlow)(uint32_t, SWIFT_SELF void *);
typedef SWIFT_CALL void (*UnlockSlow)(SWIFT_SELF void *);

SWIFT_CALL void lockSlow(uint32_t thread, SWIFT_SELF void *word) __asm__(LOCK_SLOW);
SWIFT_CALL void unlockSlow(SWIFT_SELF void *word) __asm__(UNLOCK_SLOW);

SWIFT_CALL void lockSlow(uint32_t thread, SWIFT_SELF void *word) {
    ((LockSlow)RUNTIMES(LOCK_SLOW))(thread, word);
    acquire(word);
}

SWIFT_CALL void unlockSlow(SWIFT_SELF void *word) {
    release(word);
    ((UnlockSlow)RUNTIMES(UNLOCK_SLOW))(word);
}

// --- References ----------------------------------------------------------------------------------------------------------

// Objects without a count have the sign of a negative number, or are null.
static void letGo(void *object) {
    if ((intptr_t)object > 0) release(object);
}

void swift_release(void *object) {
    letGo(object);
    ((void (*)(void *))RUNTIMES("swift_release"))(object);
}

void swift_release_n(void *object, uint32_t count) {
    letGo(object);
    ((void (*)(void *, uint32_t))RUNTIMES("swift_release_n"))(object, count);
}

bool swift_isUniquelyReferenced_native(void *object) {
    bool isUnique = ((bool (*)(void *))RUNTIMES("swift_isUniquelyReferenced_native"))(object);
    if (isUnique) acquire(object);
    return isUnique;
}

bool swift_isUniquelyReferenced_nonNull_native(void *object) {
    bool isUnique = ((bool (*)(void *))RUNTIMES("swift_isUniquelyReferenced_nonNull_native"))(object);
    if (isUnique) acquire(object);
    return isUnique;
}

void swift_deallocClassInstance(void *object, size_t size, size_t alignment) {
    acquire(object);
    ((void (*)(void *, size_t, size_t))RUNTIMES("swift_deallocClassInstance"))(object, size, alignment);
}

// --- Continuations -------------------------------------------------------------------------------------------------------

// The beginning of a ContinuationAsyncContext (include/swift/ABI/Task.h).
typedef struct {
    void *parent;
    void *resumeParent;
    size_t flags;
    _Atomic(size_t) status;
} Continuation;
enum { isResumed = 2 };

__attribute__((weak)) SWIFT_CALL void *swift_task_getCurrent(void);

// Resuming is told by the runtime itself. The task was resumed before it began to wait,
SWIFT_ASYNC_CALL void swift_continuation_await(Continuation *continuation) {
    if (atomic_load_explicit(&continuation->status, memory_order_acquire) == isResumed) acquire(swift_task_getCurrent());
    __attribute__((musttail)) return ((SWIFT_ASYNC_CALL void (*)(Continuation *))RUNTIMES("swift_continuation_await"))(
        continuation);
}

// or while its task was about to wait, which then runs on by way of this.
void swift_task_enterThreadLocalContext(char *state) {
    ((void (*)(char *))RUNTIMES("swift_task_enterThreadLocalContext"))(state);
    void *task = swift_task_getCurrent();
    if (task) acquire(task);
}
