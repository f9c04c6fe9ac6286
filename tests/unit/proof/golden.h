/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Made by tests/unit/proof/model.py. */
/* clang-format off */
static const uint64_t golden_counts[] = {0, 1, 64, 257, 700};
static const struct golden {
    uint32_t workload; uint64_t seed; uint16_t device; uint16_t index; uint32_t parameter; bool avx2;
    uint32_t queues; uint64_t memory_size; uint64_t window_size; uint64_t peer_window; uint64_t digest[5];
} golden[] = {
    {1, 0x1ull, 2, 0, 16, false, 2, 131072, 64, 0,
     {0xb2199f150b8e281bull, 0x27a84658a4bc6e25ull, 0x0c564020198ecb01ull, 0xf33be0f35989d407ull, 0x17a22762c8cf9b35ull}},
    {1, 0x1ull, 2, 1, 16, false, 2, 131072, 64, 0,
     {0x8b80b276c40a0b90ull, 0x8413925540cdb748ull, 0xe9131b356e2979f9ull, 0x5bf16c711106e9ddull, 0x9250b4c01134a778ull}},
    {1, 0xdeadbeefcafef00dull, 31, 2, 5, false, 3, 122879, 4096, 0,
     {0x7acc7e5c6eab3bf2ull, 0x01e75be1c330c264ull, 0x52974858ed013c5aull, 0x7cc6e4413aae8bf4ull, 0xb07f54d20ec34b38ull}},
    {1, 0x7ull, 4, 0, 8, false, 1, 32767, 0, 0,
     {0x21a7db34503a10c2ull, 0xd95cc9eda1b96f31ull, 0xd46d3612e3c8dc76ull, 0xbedada48a58a478aull, 0x6bfedc1ede42d9deull}},
    {1, 0x7ull, 5, 1, 8, false, 4, 0, 24, 0,
     {0x38ad81c72fcbcf9cull, 0xc6634ce2ba81ca49ull, 0x7444bc439122635dull, 0x7a0fab4c580df0ffull, 0x3a43da37b5cddc99ull}},
    {2, 0x1ull, 0, 0, 1, false, 0, 0, 0, 0,
     {0xfbe7a763b053d14cull, 0xec0e2ff36281fa9bull, 0x793a92aa9c97b810ull, 0xdb71516821ad9e4aull, 0x7bba282a3c92186bull}},
    {2, 0xffffffffffffffffull, 0, 3, 100, false, 0, 0, 0, 0,
     {0x639830e3a4beeaedull, 0xf8c0e6eb6de22224ull, 0xe22df9b94c89c8d7ull, 0x108413b296cf2977ull, 0xa90ab8699d241e86ull}},
    {3, 0x1ull, 0, 0, 0, false, 0, 0, 0, 0,
     {0x7740eb31ebd3039aull, 0xaa95aa6b52660a83ull, 0x142de4cb571ce979ull, 0x7dc9a68dbffb744dull, 0x5653b801f07a6705ull}},
    {3, 0x1ull, 0, 0, 1, true, 0, 0, 0, 0,
     {0x7740eb31ebd3039aull, 0xc99f0bcc4bf7cbabull, 0xeee9cd5fd56a0910ull, 0xe965c5b72b97ffb6ull, 0x0f14bac9d651b6ecull}},
    {3, 0x2aull, 0, 63, 1, true, 0, 0, 0, 0,
     {0xebfd64da4c9a501cull, 0xe2abeb55ab94e93eull, 0x97ff095ef6eead11ull, 0xddbdc7f5554751e6ull, 0xd7ba6bce3e76790full}},
    {5, 0x1ull, 1, 0, 0, false, 0, 0, 0, 0,
     {0xde2e132f5a059ed2ull, 0xba70519e838b9f3eull, 0x8eec3be2ba0e68b4ull, 0x8d931a4abcb88450ull, 0x2c9b837058dce84dull}},
    {5, 0xdeadbeefcafef00dull, 31, 1, 0, false, 0, 0, 0, 0,
     {0x10c545c892cd3f8eull, 0xc397be026e2d2d95ull, 0xe9dd9a98e3e8af19ull, 0xb1aa6e99da9e66d7ull, 0x339949d0605dc370ull}},
    {6, 0x1ull, 1, 0, 0, false, 0, 0, 0, 0,
     {0x4e0daa48bac32248ull, 0x5d5773ffd99a55b3ull, 0x887d201394c18b24ull, 0x00941f9077e49e04ull, 0xcd0d76dc6b627000ull}},
    {6, 0xdeadbeefcafef00dull, 31, 0, 0, false, 0, 0, 0, 0,
     {0x01b11174cf97f6dcull, 0xef9d8e58558097acull, 0x85de8bb69ecddebeull, 0xad846f468e8b8947ull, 0x6bc91f2fd5822d0bull}},
    {7, 0x1ull, 1, 0, 0, false, 0, 0, 0, 0,
     {0xaf98334c55c7b7d6ull, 0xc94c2d240af681a6ull, 0xb37068c0d61c363aull, 0x95a8dbce1d84784cull, 0x6fadb9c82d4b717eull}},
    {7, 0xdeadbeefcafef00dull, 31, 0, 0, false, 0, 0, 0, 0,
     {0x1ad3f0e4fb673628ull, 0xa6d91eab2b9be65dull, 0x92a8912f5fb8e31bull, 0xd69cd9c91a0a06e3ull, 0xe15ae786ea4b4abdull}},
    {1, 0x1ull, 1, 1, 8, false, 2, 65536, 2048, 2048,
     {0x605d6b6e880563e6ull, 0x4dc921c0b48e291full, 0xca01206c8ea23383ull, 0x1b79f1df624cc7e0ull, 0xcc92b5518d2daa9cull}},
    {1, 0x3ull, 2, 0, 4, false, 1, 0, 4096, 1048576,
     {0x5c924943071dda78ull, 0x1860bb684fc29889ull, 0x545e2004e759f846ull, 0xef906410934d2826ull, 0xc02daf45b641fd26ull}},
    {1, 0x3ull, 2, 0, 16, false, 2, 131072, 65536, 65544,
     {0x5c924943071dda78ull, 0xdad940f22802a39dull, 0x30aa2f223fbb4e49ull, 0x0e37bfa81d323c2aull, 0x5ae2d05c235952b5ull}},
    {1, 0x3ull, 2, 0, 16, false, 2, 131072, 65536, 1016,
     {0x5c924943071dda78ull, 0x1860bb684fc29889ull, 0x91d573b4da3ffce9ull, 0x482d4cb805aa6175ull, 0x8c64bc8cd74dda31ull}},
};
