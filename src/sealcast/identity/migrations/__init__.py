"""The steps of `sealcast.identity.migration`, a file each."""
