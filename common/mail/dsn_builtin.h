/* dsn_builtin.h - what notices say when no file says it otherwise */
#pragma once

/* In the form of a file of templates (dsn_text.h); all kinds with all fields. */
extern const char dsn_builtin[];
