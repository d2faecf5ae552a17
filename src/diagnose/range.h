/* SPDX-License-Identifier: Apache-2.0 */
/* A figure that is not known exactly. */
#ifndef DATASTALL_DIAGNOSE_RANGE_H
#define DATASTALL_DIAGNOSE_RANGE_H

struct range { /* 90 of 100 hold the truth; NaN unknown */
    double mean, lower, upper;
};

#endif
