"""The stages a tile passes, one file each, pure functions of windows."""
