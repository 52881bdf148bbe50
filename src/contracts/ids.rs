//! The ids of datasets and tables, as enums: a match has an arm for each.

/// Declares an enum, all its values in order, and the name of each.
macro_rules! named_ids {
    ($(#[$doc:meta])* $id:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $id {
            $($variant),*
        }

        impl $id {
            /// In the order of SPEC.md.
            pub const ALL: &'static [$id] = &[$($id::$variant),*];

            /// The name in paths, documents and messages.
            pub const fn name(self) -> &'static str {
                match self {
                    $($id::$variant => $name),*
                }
            }
        }
    };
}

named_ids! {
    /// Datasets that are too large to keep: their rows are streamed into the rollups.
    StreamId {
        OrderLines = "order_lines",
        ProductTraffic = "product_traffic",
    }
}

named_ids! {
    /// Datasets whose rows of a day fit into memory.
    SnapshotId {
        Contents = "contents",
        AdHours = "ad_hours",
        Shops = "shops",
        Inventory = "inventory",
        Campaigns = "campaigns",
        CampaignShops = "campaign_shops",
        CampaignProducts = "campaign_products",
        SubCampaigns = "sub_campaigns",
    }
}

named_ids! {
    /// Tables of one day, computed from its exports only.
    RollupId {
        ShopDaily = "shop_daily",
        ChannelDaily = "channel_daily",
        ProductDaily = "product_daily",
        SkuDaily = "sku_daily",
        ContentDaily = "content_daily",
        SubCampaignDaily = "sub_campaign_daily",
        AdHourly = "ad_hourly",
    }
}

named_ids! {
    /// Tables over published rollups and over snapshots of the report day.
    WindowId {
        ShopPeriod = "shop_period",
        FunnelPeriod = "funnel_period",
        ChannelPeriod = "channel_period",
        ProductPeriod = "product_period",
        ContentPeriod = "content_period",
        SubCampaignPeriod = "sub_campaign_period",
        GmvBaseline = "gmv_baseline",
        StockStatus = "stock_status",
        ShopTier = "shop_tier",
    }
}

named_ids! {
    /// Tables of the benchmark day. A fallback writes only these tables.
    BenchmarkId {
        CategoryBenchmark = "category_benchmark",
        ShopBenchmark = "shop_benchmark",
        GmvGap = "gmv_gap",
    }
}

/// One input dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatasetId {
    Stream(StreamId),
    Snapshot(SnapshotId),
}

impl DatasetId {
    pub const fn name(self) -> &'static str {
        match self {
            DatasetId::Stream(id) => id.name(),
            DatasetId::Snapshot(id) => id.name(),
        }
    }
}

/// One result table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableId {
    Rollup(RollupId),
    Window(WindowId),
    Benchmark(BenchmarkId),
}

impl TableId {
    pub const fn name(self) -> &'static str {
        match self {
            TableId::Rollup(id) => id.name(),
            TableId::Window(id) => id.name(),
            TableId::Benchmark(id) => id.name(),
        }
    }
}
