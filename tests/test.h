/*
 * The test harness: every TEST() registers itself; main() is in tests/main.c. Output is TAP, and
 * the last line is "N passed, N failed, N skipped".
 *
 *	TEST("parse_int refuses what is not a whole number")
 *	{
 *		int64_t n;
 *
 *		CHECK(!parse_int("12x", 0, 100, &n));
 *	}
 *
 * Each test runs in a child process with a private HOME and a deadline, so a crash or a hang is
 * one failure. SKIP() where PYRO_MUST_RUN names the reason's kind ("vm") is a failure.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	const char *file;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *test);
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
void test_skip(const char *kind, const char *why) __attribute__((noreturn));
/* A fresh directory that goes away with the test. Borrowed. */
const char *test_dir(void);
/* Seconds that the test may take from now on; the default is 240. */
void test_deadline(int seconds);

#define TEST__CAT2(a, b) a##b
#define TEST__CAT(a, b) TEST__CAT2(a, b)
#define TEST(text)                                                                               \
	static void TEST__CAT(test_fn_, __LINE__)(void);                                         \
	__attribute__((constructor)) static void TEST__CAT(test_reg_, __LINE__)(void)            \
	{                                                                                        \
		static struct test test = {text, __FILE__, TEST__CAT(test_fn_, __LINE__), NULL}; \
		test_register(&test);                                                            \
	}                                                                                        \
	static void TEST__CAT(test_fn_, __LINE__)(void)

#define CHECK(cond)                                                 \
	do {                                                        \
		if (!(cond))                                        \
			test_fail(__FILE__, __LINE__, "%s", #cond); \
	} while (0)
#define CHECK_INT(got, want)                                                                      \
	do {                                                                                      \
		long long got_ = (long long)(got), want_ = (long long)(want);                     \
		if (got_ != want_)                                                                \
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, got_, want_); \
	} while (0)
#define CHECK_STR(got, want)                                                            \
	do {                                                                            \
		const char *got_ = (got), *want_ = (want);                              \
		if (!got_ || strcmp(got_, want_) != 0)                                  \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, \
				  got_ ? got_ : "(null)", want_);                       \
	} while (0)
/* A call that returns negative on failure; err is the struct pyro_error it filled. */
#define CHECK_OK(call, err)                                                            \
	do {                                                                           \
		if ((call) < 0)                                                        \
			test_fail(__FILE__, __LINE__, "%s: %s", #call, (err).message); \
	} while (0)

#endif
