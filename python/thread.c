#include "thread.h"

_Thread_local struct thread thread;
