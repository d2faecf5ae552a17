/* SPDX-License-Identifier: Apache-2.0 */
/* A figure that is not known exactly. */
#ifndef DATASTALL_DIAGNOSE_RANGE_H
#define DATASTALL_DIAGNOSE_RANGE_H

struct range { /* 90 of 100 hold the truth; NaN unknown */
    double mean, lower, upper;
};

/* Of a normal distribution 90 of 100 lie within so many standard errors around the mean. */
#define RANGE_Z90 1.645

#endif
