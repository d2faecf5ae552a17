/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
#ifndef DATASTALL_TESTS_CMOCKA_ALL_H
#define DATASTALL_TESTS_CMOCKA_ALL_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#endif
