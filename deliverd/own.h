/* own.h - where this host can be reached itself: mail for there would come back */
#pragma once

struct conf;
struct own_addresses;

/* The listening addresses of the configuration; an address of 0.0.0.0 or :: stands for all that the host has
   now. Needs the network interfaces, so before confinement. */
void own_addresses_find(const struct conf *conf, struct own_addresses *out);
