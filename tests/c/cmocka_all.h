/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these before it, in this order. */
#ifndef DATASTALL_TESTS_CMOCKA_ALL_H
#define DATASTALL_TESTS_CMOCKA_ALL_H

/* clang-format off */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

/* cmocka's own rounds to floats, and takes NaN to be equal to anything. */
#undef assert_float_equal
#define assert_float_equal(value, wanted, epsilon)                             \
    do {                                                                       \
        const double value_ = (double)(value), wanted_ = (double)(wanted);     \
        if (!(fabs(value_ - wanted_) <= (epsilon) * fmax(1.0, fabs(wanted_)))) \
            fail_msg("%s is %.17g instead of %.17g", #value, value_, wanted_); \
    } while (0)

#endif
