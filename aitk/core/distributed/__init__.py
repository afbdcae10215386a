"""Work for several processes: shards in any order (``map_shards``), ranks in step (``gang``)."""
