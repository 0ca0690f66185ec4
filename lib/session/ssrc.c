/* SPDX-License-Identifier: BSD-3-Clause */
#include "plm_session.h"
