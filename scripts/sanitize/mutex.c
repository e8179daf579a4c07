// Tells the thread sanitizer what Swift's Mutex does when two threads want it at once: a library to be preloaded.
//
// The quick ways of Synchronization.Mutex are compiled into its callers, where the sanitizer sees their atomic operations. The
// slow ones are in the standard library, which is not instrumented: without this, everything a contended Mutex protects is
// reported. Both are functions of `_MutexHandle`, which is the lock's 32-bit word (swift, stdlib/public/Synchronization/Mutex/
// LinuxImpl.swift).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT_CALL __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Only programs that are sanitized have these.
__attribute__((weak)) void __tsan_acquire(void *);
__attribute__((weak)) void __tsan_release(void *);

SWIFT_CALL void lockSlow(uint32_t thread, SWIFT_SELF void *word) __asm__(LOCK_SLOW);
SWIFT_CALL void unlockSlow(SWIFT_SELF void *word) __asm__(UNLOCK_SLOW);

typedef SWIFT_CALL void (*LockSlow)(uint32_t, SWIFT_SELF void *);
typedef SWIFT_CALL void (*UnlockSlow)(SWIFT_SELF void *);

SWIFT_CALL void lockSlow(uint32_t thread, SWIFT_SELF void *word) {
    static LockSlow next;
    if (!next) next = (LockSlow)dlsym(RTLD_NEXT, LOCK_SLOW);
    next(thread, word);
    if (__tsan_acquire) __tsan_acquire(word);
}

SWIFT_CALL void unlockSlow(SWIFT_SELF void *word) {
    static UnlockSlow next;
    if (!next) next = (UnlockSlow)dlsym(RTLD_NEXT, UNLOCK_SLOW);
    if (__tsan_release) __tsan_release(word);
    next(word);
}
