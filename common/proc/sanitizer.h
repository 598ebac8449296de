/* sanitizer.h - settings of the sanitizers' runtime for confined processes */
#pragma once

/* Does nothing but bring the settings into the program; called by every main. */
void sanitizer_settings(void);
