/* Copying a run file: most of it is room that its run did not need.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASTALL_RUNFILE_SPARSE_COPY_H
#define DATASTALL_RUNFILE_SPARSE_COPY_H

/* Copies all of `in` to `out`, an empty file; pages without a byte become holes. 0 or an errno. */
int rf_copy_sparse(int in, int out);

#endif
