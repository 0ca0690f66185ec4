/* SPDX-License-Identifier: BSD-3-Clause */
/** @file EAL for unit tests: no hugepage, no device, no root, nothing left behind. */
#ifndef PLM_TEST_EAL_H
#define PLM_TEST_EAL_H

/** cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/** Start EAL once per process with `mb` megabytes; for main(). Exits on failure. */
void test_eal_init(unsigned int mb);

#endif
