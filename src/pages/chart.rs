//! Charts as SVG. Their colours are attributes that the style of the page exchanges for those of the
//! theme. A chart prints no number of a table but the round ones of its axis: the numbers stand in the
//! table beside it.

use std::sync::Once;

use anyhow::Result;
use charts_rs::{
    BarChart, ChartBase, Color, FunnelChart, Series, WaterfallChart, WaterfallData, add_theme,
    get_theme,
};

const THEME: &str = "campaign-etl";
const INK: (u8, u8, u8) = (0x44, 0x51, 0x5c);
const LINE: (u8, u8, u8) = (0xd5, 0xdc, 0xe2);
const FIRST: (u8, u8, u8) = (0x0b, 0x6e, 0x74);
const SECOND: (u8, u8, u8) = (0xb3, 0x50, 0x1b);
const MORE: (u8, u8, u8) = (0x1a, 0x7f, 0x37);
const LESS: (u8, u8, u8) = (0xb4, 0x23, 0x18);
const TOTAL: (u8, u8, u8) = (0x8c, 0x99, 0xa5);

/// A series of a chart: its name, and a value for each label; `None`: a gap.
pub(crate) type Values = (&'static str, Vec<Option<f64>>);

/// Steps from one total to another: the first and the last are totals.
///
/// # Errors
/// When the chart cannot be drawn.
pub(crate) fn waterfall(steps: &[(&str, f64)]) -> Result<String> {
    let last = steps.len().saturating_sub(1);
    let values = steps
        .iter()
        .enumerate()
        .map(|(at, (_, value))| WaterfallData {
            value: *value as f32,
            is_total: at == 0 || at == last,
        });
    let labels = steps.iter().map(|(label, _)| (*label).to_owned());
    let mut chart = WaterfallChart::new_with_theme(values.collect(), labels.collect(), theme());
    chart.increase_color = MORE.into();
    chart.decrease_color = LESS.into();
    chart.total_color = TOTAL.into();
    chart.label_show = false;
    size(&mut chart, 260.0);
    Ok(chart.svg()?)
}

/// Bars over labels, with gaps where a value is missing.
///
/// # Errors
/// When the chart cannot be drawn.
pub(crate) fn bars(labels: Vec<String>, values: Vec<Values>) -> Result<String> {
    let is_single = values.len() == 1;
    let mut chart = BarChart::new_with_theme(series(values), labels, theme());
    chart.legend.show = Some(!is_single);
    size(&mut chart, 240.0);
    Ok(chart.svg()?)
}

/// Steps of which each is usually smaller than the one before.
///
/// # Errors
/// When the chart cannot be drawn.
pub(crate) fn funnel(steps: &[(&'static str, f64)]) -> Result<String> {
    let series = steps
        .iter()
        .map(|(name, value)| Series::new((*name).to_owned(), vec![*value as f32]));
    let mut chart = FunnelChart::new_with_theme(series.collect(), theme());
    chart.legend.show = Some(false);
    chart.series.label.formatter = "{a}".to_owned();
    size(&mut chart, 200.0);
    Ok(chart.svg()?)
}

fn series(values: Vec<Values>) -> Vec<Series> {
    let one = |(name, values): Values| {
        let values = values.into_iter().map(|value| value.map(|v| v as f32));
        Series::new_nullable(name.to_owned(), values.collect())
    };
    values.into_iter().map(one).collect()
}

fn size(chart: &mut ChartBase, height: f32) {
    chart.width = 720.0;
    chart.height = height;
    chart.compact = true;
}

fn theme() -> &'static str {
    static ADDED: Once = Once::new();
    ADDED.call_once(|| {
        let mut theme = (*get_theme("light")).clone();
        theme.background_color = Color::transparent();
        theme.font_family = "system-ui, sans-serif".to_owned();
        theme.x_axis.stroke_color = INK.into();
        theme.x_axis.font.color = INK.into();
        theme.y_axis.stroke_color = INK.into();
        theme.y_axis.font.color = INK.into();
        theme.grid.stroke_color = LINE.into();
        theme.legend.font.color = INK.into();
        theme.series.label.font.color = INK.into();
        theme.series.colors = vec![FIRST.into(), SECOND.into(), TOTAL.into(), MORE.into()];
        add_theme(THEME, theme);
    });
    THEME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_have_only_the_colours_that_the_style_exchanges() {
        let style = include_str!("templates/page.css");
        let values = || {
            vec![
                ("One", vec![Some(1.0), None, Some(3.0)]),
                ("Two", vec![Some(2.0); 3]),
            ]
        };
        let labels = || ["a", "b", "c"].map(str::to_owned).to_vec();
        let charts = [
            waterfall(&[("From", 5.0), ("More", 3.0), ("Less", -2.0), ("To", 6.0)]).unwrap(),
            bars(labels(), values()).unwrap(),
            funnel(&[("Reach", 9.0), ("Clicks", 4.0), ("Customers", 1.0)]).unwrap(),
        ];
        let mut colours = 0;
        for svg in charts {
            assert!(!svg.contains("style="), "{svg}");
            for (name, rest) in ["fill", "stroke"].into_iter().flat_map(|name| {
                let start = format!("{name}=\"#");
                svg.split(&*start)
                    .skip(1)
                    .map(move |rest| (name, rest.to_owned()))
                    .collect::<Vec<_>>()
            }) {
                let colour = rest.split('"').next().unwrap();
                // The circles of a legend, which are not filled.
                if colour == "000" {
                    continue;
                }
                let rule = format!("[{name}=\"#{colour}\"]");
                assert!(style.contains(&rule), "{rule} in {svg}");
                colours += 1;
            }
        }
        assert!(colours > 20, "{colours}");
    }
}
