/* The daemon's log: lines on standard error, each with the time (CLOCK_BOOTTIME, ms) in front. Any thread. */
#ifndef LEDGER_SAY_H
#define LEDGER_SAY_H

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
