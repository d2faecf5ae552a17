#include "base/fault_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/atomics.h"

#define MAX_RANGES 64

/* Read by the signal handler: a range counts while its start is not 0. */
static struct guarded_range {
    uint64_t start;
    uint64_t bytes;
    uint64_t *lost;
} ranges[MAX_RANGES];

static pthread_mutex_t ranges_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous_action;
static bool installed;

static bool replace_range_of(uint64_t address)
{
    for (int i = 0; i < MAX_RANGES; i++) {
        uint64_t start = ds_load_acquire(&ranges[i].start);
        if (start == 0 || address < start || address - start >= ds_load(&ranges[i].bytes))
            continue;
        void *place = mmap((void *)start, ds_load(&ranges[i].bytes), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (place == MAP_FAILED)
            return false;
        __atomic_store_n(ranges[i].lost, 1, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

static void on_sigbus(int signal_number, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && replace_range_of((uint64_t)info->si_addr))
        return;
    if (previous_action.sa_flags & SA_SIGINFO) {
        previous_action.sa_sigaction(signal_number, info, context);
    } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
        previous_action.sa_handler(signal_number);
    } else {
        /* Restore the default; a fault then repeats and kills, a sent signal is sent again. */
        sigaction(SIGBUS, &previous_action, NULL);
        if (info->si_code <= 0)
            raise(SIGBUS);
    }
}

void ds_fault_guard_after_fork(void)
{
    pthread_mutex_init(&ranges_mutex, NULL);
}

int ds_fault_guard(void *start, size_t bytes, uint64_t *lost)
{
    int handle = -1;
    pthread_mutex_lock(&ranges_mutex);
    if (!installed) {
        struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
        sigemptyset(&action.sa_mask);
        installed = sigaction(SIGBUS, &action, &previous_action) == 0;
    }
    for (int i = 0; installed && i < MAX_RANGES; i++) {
        if (ds_load(&ranges[i].start) != 0)
            continue;
        ranges[i].lost = lost;
        ds_store(&ranges[i].bytes, bytes);
        ds_store_release(&ranges[i].start, (uint64_t)start);
        handle = i;
        break;
    }
    pthread_mutex_unlock(&ranges_mutex);
    return handle;
}

void ds_fault_unguard(int handle)
{
    if (handle >= 0)
        ds_store_release(&ranges[handle].start, 0);
}
