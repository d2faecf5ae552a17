/* SPDX-License-Identifier: Apache-2.0 */
/* The page of `serve` for people, and the document that it reads once a second. */
#ifndef DATASTALL_CLI_SERVE_PAGE_H
#define DATASTALL_CLI_SERVE_PAGE_H

#include "cli/http.h"
#include "diagnose/summary.h"

/* However many pages are open, the document is made no more often than this. */
#define SERVE_LIVE_NS (900 * UINT64_C(1000000))

/* Both NULL: out of memory. Release with http_response_free(). */
struct http_response *serve_page(const struct http_server *server);
struct http_response *serve_live(const struct http_server *server,
                                 const struct summary *const *runs, uint32_t count,
                                 uint64_t now_ns);

#endif
