"""All that looks at a run from outside: emulators, recordings, Intel's rules, attacks, costs, pages."""
