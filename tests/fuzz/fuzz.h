/*
 * Fuzz targets. Each fuzz_NAME.c is built twice: with libFuzzer (meson option `fuzz`, clang), and
 * always with replay.c, which runs the files of corpus/NAME as an ordinary test.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
