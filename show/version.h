/* The version, as the log and scripts/ringside --version show it; CHANGES.md says what is new. */
#ifndef VERSION_H
#define VERSION_H

#define VERSION	"1.2"

#endif
