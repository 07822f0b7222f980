/* The version, as the log and scripts/ringside --version say it; CHANGES.md has what is new. */
#ifndef VERSION_H
#define VERSION_H

#define VERSION	"1.1"

#endif
